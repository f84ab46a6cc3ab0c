"""What happens on a site: messages, KPIs, rankings, facts, failures, as tests of its pages want them."""

from dataclasses import replace
from datetime import timedelta

from dbplanmon_pipeline.core.kpis.rules import KpiMemory, KpiResult, KpiState
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports import Alert, Delivery, JobState
from dbplanmon_pipeline.services.rank_hotspots import rank_hotspots
from dbplanmon_pipeline_tests.store.samples import collected
from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, Site

MINUTE = timedelta(minutes=1)
REF = DatabaseRef("fleet", "sim0001")
OTHER = DatabaseRef("fleet", "sim0002")
SECRET = "zq9-planted"
KPIS = f"""\
alerts:
  channels:
    - {{type: log}}
    - {{type: email, name: dba-mail, host: mail.example.net, sender: a@example.net, to: [b@example.net],
       user: mailer, password: "env:MAIL_PASSWORD"}}
kpis:
  - {{name: orders, instance: fleet, database: sim0001, sql: "SELECT '{SECRET}'", minimum: 10, severity: high}}
  - {{name: carts, instance: fleet, database: sim0001, sql: "SELECT 1", maximum: 90}}
  - {{name: fresh, instance: fleet, database: sim0002, sql: "SELECT 1", expected: 1}}
"""


def settings() -> str:
    """Two channels and three KPIs beside the usual instances."""
    return SETTINGS + KPIS


def tell(site: Site) -> None:
    """Fill what the recorded fleet has not."""
    site.clock.advance(MINUTE)
    now, store = site.clock(), site.store
    rank_hotspots(store, window=timedelta(hours=1), top_n=10)
    _read_kpis(site)
    number = store.incidents()[0].incident_id
    for place, (channel, event) in enumerate((("log", "opened"), ("dba-mail", "opened"), ("dba-mail", "escalated"))):
        at = now - (10 - place) * MINUTE
        store.add_alerts([Alert(f"told-{place}", number, event, channel, "high", at, f"message {place}", "body")])
    store.record_deliveries([Delivery("told-0", now, succeeded=True)])
    store.record_deliveries([Delivery("told-1", now - MINUTE, False, "the mail server is busy", now + MINUTE)])
    store.record_deliveries([Delivery("told-2", now, False, "no such mailbox")])
    store.save_job_states(
        [
            JobState("breaker:shop", 6, now - MINUTE, None, now + 5 * MINUTE, "shop: cannot connect: no route"),
            JobState("channel:dba-mail", 2, now - MINUTE, now - 9 * MINUTE, None, "the mail server is busy"),
        ]
    )
    failed = collected(OTHER, now, [1])
    outcome = replace(
        failed.outcome, status=CollectionStatus.FAILED, error_class="timeout", message="no answer within 10 s"
    )
    store.record([replace(failed, outcome=outcome, reading=None, rows=None)])


def _read_kpis(site: Site) -> None:
    now, store = site.clock(), site.store
    for name, last in (("orders", 4.0), ("carts", 50.0)):
        for number in range(12, -1, -1):
            at = now - 5 * number * MINUTE
            value = 40.0 + number if number else last
            is_bad = name == "orders" and not number
            state = KpiState.BREACH if is_bad else KpiState.OK
            message = "below the minimum of 10" if is_bad else ""
            assert store.lease_kpi(store.kpi_memories([name])[name], at, at + MINUTE)
            memory = KpiMemory(name, trouble=state, began_at=at if is_bad else None)
            store.record_kpi(KpiResult(name, at, 12.0, state, value, None, message), memory, [])
