"""`/api/fleet`: every database with its last reading and its open incidents, by name."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.records import Record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import MOST_PER_PAGE, Answer, limit_of
from dbplanmon_pipeline.web.pages.fleet import fleet_of
from dbplanmon_pipeline.web.pages.fleet_cards import DatabaseCard, InstanceGroup, fits
from dbplanmon_pipeline.web.pages.words import Badge


@require(Role.VIEWER)
def fleet_json(request: Request) -> Response:
    """The fleet; `q` and `instance` narrow the databases, the sums of instances are of all."""
    view = fleet_of(request)
    query = request.query_params
    words, instance = query.get("q", "")[:200], query.get("instance", "")
    groups = sorted(view.groups, key=lambda group: group.name)
    cards = [
        card
        for group in groups
        if instance in ("", group.name)
        for card in sorted(group.databases, key=lambda card: card.ref.database)
        if fits(card, words)
    ]
    page, following = _page(cards, query.get("after", ""), limit_of(request, MOST_PER_PAGE))
    return Answer(
        {
            "summary": view.headline,
            "load_is": view.metric,
            "instances": [_instance_record(group) for group in groups],
            "databases": [_database_record(card) for card in page],
            "total": len(cards),
            "next": following,
        }
    )


def _page(cards: Sequence[DatabaseCard], after: str, limit: int) -> tuple[Sequence[DatabaseCard], str | None]:
    """Cards behind a mark, and the mark of the next page; a mark is the last database of a page."""
    if after:
        instance, slash, database = after.partition("/")
        if not slash:
            raise HTTPException(400, "`after` is the `next` of the page before; leave it out for the first page")
        last = DatabaseRef(instance, database)
        cards = [card for card in cards if (card.ref.instance, card.ref.database) > (last.instance, last.database)]
    return cards[:limit], str(cards[limit - 1].ref) if len(cards) > limit else None


def _instance_record(group: InstanceGroup) -> Record:
    return {
        "instance": group.name,
        "engine": group.engine,
        "databases": len(group.databases),
        "not_read": group.unread,
        "open_incidents": _counts(group.incidents),
        "load_seconds_per_hour": group.load,
        "in_settings": not group.is_retired,
    }


def _database_record(card: DatabaseCard) -> Record:
    return {
        "instance": card.ref.instance,
        "database": card.ref.database,
        "state": card.health.word.lower(),
        "read_at": card.read_at,
        "message": card.why,
        "source": card.source,
        "open_incidents": _counts(card.incidents),
        "extra_seconds_per_hour": card.extra_seconds,
        "load_seconds_per_hour": card.load,
    }


def _counts(incidents: Sequence[tuple[Badge, int]]) -> dict[str, int]:
    """By severity, the worst first; those that are."""
    return {badge.tone: count for badge, count in incidents}
