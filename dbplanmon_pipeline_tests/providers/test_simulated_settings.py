import pytest

from dbplanmon_pipeline.composition.providers import build_provider
from dbplanmon_pipeline.providers.simulated.recorded_time import MINUTE_US
from dbplanmon_pipeline.settings.engine_options import SimulatedRelease
from dbplanmon_pipeline_tests.settings.support import load


def simulated(tmp_path, options="{}"):
    settings = load(tmp_path, f"instances: [{{name: fleet, engine: simulated, options: {options}}}]")
    return build_provider(settings.instance("fleet"), settings)


@pytest.mark.parametrize(
    ("options", "has_query_store"),
    [("{}", True), ("{source: auto}", True), ("{source: query_store}", True), ("{source: plan_cache}", False)],
)
def test_a_simulated_instance_has_a_query_store_unless_the_settings_say_otherwise(tmp_path, options, has_query_store):
    assert simulated(tmp_path, options).has_query_store is has_query_store


def test_the_query_store_of_a_simulated_instance_is_set_up_as_the_settings_say(tmp_path):
    cadence = simulated(tmp_path, "{interval_minutes: 60, flush_seconds: 300}").history("sim0001").cadence

    assert (cadence.interval_us, cadence.flush_us) == (60 * MINUTE_US, 5 * MINUTE_US)


@pytest.mark.parametrize("release", list(SimulatedRelease))
def test_a_simulated_instance_acts_every_release_the_settings_know(tmp_path, release):
    assert simulated(tmp_path, f"{{version: {release}}}").version.product == f"SQL Server {release}"
