"""Deployments as people or their pipelines mark them: what was rolled out, where, when and why."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.errors import DbPlanMonError

LONGEST_NAME = 200
LONGEST_NOTE = 2_000
LONGEST_PLACE = 255
MOST_NAMED = 5
"""Markers of one name that are told with their ids, the latest ones."""

AHEAD = timedelta(minutes=10)
"""A deployment may be marked this long before it happens, or by a clock that is so much ahead."""


class UnusableDeployment(DbPlanMonError):
    """A marker that cannot be kept as it was given; the message says what to change."""


class UnknownDeployment(DbPlanMonError):
    """No marker has this id or name, or more than one has the name."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One marker.

    Attributes:
        deployment_id: 12 hex digits, the same for the same name, place and moment.
        name: what was rolled out, one line.
        instance / database: where; empty means everywhere, and a database without an instance that of any.
        deployed_at: when, aware UTC.
        note: anything worth knowing, one line; may be empty.
        created_at / created_by: when and by whom it was marked.
    """

    deployment_id: str
    name: str
    instance: str
    database: str
    deployed_at: datetime
    note: str
    created_at: datetime
    created_by: str

    def concerns(self, instance: str, database: str) -> bool:
        """True for a place in which it happened; an empty database stands for a whole instance."""
        if self.instance not in ("", instance):
            return False
        return not self.database or not database or self.database == database


def new_deployment(
    name: str,
    *,
    instance: str = "",
    database: str = "",
    deployed_at: datetime | None = None,
    note: str = "",
    now: datetime,
    actor: str,
) -> Deployment:
    """A marker from what somebody typed or sent: one line each, without control characters.

    Args:
        name: what was rolled out, at most LONGEST_NAME characters.
        instance: where; empty for everywhere.
        database: likewise; without an instance, databases of that name on any.
        deployed_at: when, aware; the present moment where it is not given.
        note: at most LONGEST_NOTE characters.
        now: present moment, aware UTC.
        actor: who marks it.

    Raises:
        UnusableDeployment: a text is missing or too long, or the moment lies ahead.
    """
    texts = {"name": (name, LONGEST_NAME), "instance": (instance, LONGEST_PLACE)}
    texts |= {"database": (database, LONGEST_PLACE), "note": (note, LONGEST_NOTE)}
    clean = {what: _bounded(what, text, limit) for what, (text, limit) in texts.items()}
    if not clean["name"]:
        raise UnusableDeployment("a deployment needs a name, such as the version that was rolled out")
    at = (deployed_at or now).astimezone(UTC)
    if at > now + AHEAD:
        raise UnusableDeployment(f"{at:%Y-%m-%d %H:%M} UTC lies ahead; mark a deployment when it happens")
    parts = (clean["name"], clean["instance"], clean["database"], at.isoformat())
    number = hashlib.sha256("\x1f".join(("deployment", *parts)).encode()).hexdigest()[:12]
    return Deployment(number, clean["name"], clean["instance"], clean["database"], at, clean["note"], now, actor)


def chosen_deployment(known: Sequence[Deployment], wanted: str) -> Deployment:
    """The one marker with this id, else with this name.

    Raises:
        UnknownDeployment: there is none, or there are several of this name.
    """
    name = one_line(wanted)
    found = [one for one in known if one.deployment_id == name] or [one for one in known if one.name == name]
    if not found:
        raise UnknownDeployment(f"no deployment {one_line(wanted, 60)!r} is marked; see dbplanmon deploys list --json")
    if len(found) > 1:
        ids = ", ".join(f"{one.deployment_id} ({one.deployed_at:%Y-%m-%d %H:%M})" for one in found[-MOST_NAMED:])
        raise UnknownDeployment(f"{len(found)} deployments have this name; give the id of one: {ids}")
    return found[0]


def deployment_words(deployment: Deployment) -> str:
    """`deployment shop 2.4 to prod/Sales: the note`."""
    place = deployment.instance or "every instance"
    where = f"{place}/{deployment.database}" if deployment.database else place
    note = f": {deployment.note}" if deployment.note else ""
    return f"deployment {deployment.name} to {where}{note}"


def _bounded(what: str, text: str, limit: int) -> str:
    clean = one_line(text)
    if len(clean) > limit:
        raise UnusableDeployment(f"the {what} of a deployment has at most {limit:,} characters, not {len(clean):,}")
    return clean
