"""A mute rule is lifted on each page that shows it."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.mute_alerts import MuteScope, mute_alerts

pytestmark = pytest.mark.browser


def muted(site):
    (one,) = site.store.open_incidents()
    scope = MuteScope(one.instance, one.database, one.query_hash)
    return mute_alerts(site.store, scope, span="24h", actor="berta", at=site.clock(), reason="a known batch")


def path_of(site, page):
    (one,) = site.store.open_incidents()
    return {
        "incident": f"/incidents/{one.incident_id}",
        "statement": f"/statements/{one.instance}/{one.database}/{hash_text(one.query_hash)}?span=3d",
        "alerts": "/alerts?period=24h",
    }[page]


@pytest.mark.parametrize("where", ["incident", "statement", "alerts"])
def test_an_operator_lifts_a_rule_and_stays_on_the_page(open_page, own_site, where):
    rule = muted(own_site)
    path = path_of(own_site, where)
    page = open_page(own_site, path, token=own_site.token("anna"))
    assert "by berta: a known batch" in page.inner_text("main")

    page.get_by_role("button", name="Unmute").click()
    page.wait_for_url("**told=unmuted**")

    assert page.url.startswith(f"{own_site.url}{path}")
    assert "Messages are sent again" in page.get_by_role("status").first.inner_text()
    assert page.get_by_role("button", name="Unmute").count() == 0
    assert own_site.store.mutes(at=own_site.clock()) == []
    (entry,) = own_site.store.audit_page(action="mute removed", since=own_site.clock() - timedelta(days=1)).rows
    assert (entry.actor, entry.subject) == ("anna", rule.mute_id)


def test_a_viewer_sees_the_rule_and_no_button(open_page, own_site):
    muted(own_site)
    page = open_page(own_site, "/alerts", token=own_site.token("vera", Role.VIEWER))
    assert "a known batch" in page.inner_text("main")
    assert page.get_by_role("button", name="Unmute").count() == 0


def test_somebody_who_comes_second_is_told(open_page, own_site):
    rule = muted(own_site)
    page = open_page(own_site, "/alerts", token=own_site.token("anna"))
    own_site.store.remove_mute(rule.mute_id, "berta", "")

    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Unmute").click()
    assert answer.value.status == 409
    assert "in force any more" in page.inner_text("main")
