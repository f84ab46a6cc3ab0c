import pytest

from dbplanmon_pipeline.providers.postgres.plan_context import masked_definition

HEAD = "CREATE INDEX i ON public.t USING btree"


@pytest.mark.parametrize(
    ("definition", "kept"),
    [
        (f"{HEAD} (a, b DESC) INCLUDE (c)", f"{HEAD} (a, b DESC) INCLUDE (c)"),
        (f"{HEAD} (a) WITH (fillfactor='90') WHERE (kind <> 'vip'::text)", None),
        (
            f"{HEAD} (a) WITH (fillfactor=90, deduplicate_items=off)",
            f"{HEAD} (a) WITH (fillfactor=90, deduplicate_items=off)",
        ),
        (f"{HEAD} (a) WHERE (total > 1000)", f"{HEAD} (a) WHERE (total > ?)"),
        (f"{HEAD} (lower(note)) WHERE (note <> ') WITH (a=secret) b')", f"{HEAD} (lower(note)) WHERE (note <> ?)"),
        (f"{HEAD} (COALESCE(name, 'secret'::text))", f"{HEAD} (COALESCE(name, ?::text))"),
    ],
)
def test_literals_of_a_definition_are_masked_and_its_storage_stays(definition, kept):
    assert masked_definition(definition) == (kept or f"{HEAD} (a) WITH (fillfactor='90') WHERE (kind <> ?::text)")
