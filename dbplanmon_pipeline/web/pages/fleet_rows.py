"""Which databases of a fleet its page shows: a large one in parts, those in trouble always first; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.web.pages.fleet_cards import DatabaseCard, InstanceGroup, fits
from dbplanmon_pipeline.web.pages.fleet_view import FleetView

MOST_ROWS = 120
"""So many databases are shown at first, of all instances together."""

QUIET_ROWS = 5
"""Of these so many of each instance where nothing is wrong."""

PAGE = 200
"""Rows of one instance, or of what somebody looks for."""


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """An instance with some of its databases."""

    group: InstanceGroup
    cards: tuple[DatabaseCard, ...]
    is_open: bool

    @property
    def left_out(self) -> int:
        """How many of its databases are not shown."""
        return len(self.group.databases) - len(self.cards)


@dataclass(frozen=True, slots=True)
class FleetRows:
    """What is shown.

    Attributes:
        shown / fitting: databases on the page, and those it is a part of.
        following: place of the next page, 0 at the end.
        is_whole: everything is there, so that a box in the page need not ask again.
    """

    groups: tuple[ShownGroup, ...]
    shown: int
    fitting: int
    following: int
    is_whole: bool


def first_rows(view: FleetView) -> FleetRows:
    """What somebody sees who asks for nothing: all of a small fleet, of a large one what is in trouble, and a few."""
    left = MOST_ROWS
    whole = view.databases <= MOST_ROWS
    groups = []
    for group in view.groups:
        cards = group.databases if whole else _first_of(group, left)
        left -= len(cards)
        groups.append(ShownGroup(group, tuple(cards), group.is_open))
    shown = sum(len(group.cards) for group in groups)
    return FleetRows(tuple(groups), shown, view.databases, 0, whole)


def chosen_rows(view: FleetView, *, words: str = "", instance: str = "", skip: int = 0) -> FleetRows:
    """A page of the databases that have these words, or of one instance, unfolded.

    Args:
        view: the whole fleet.
        words: which all have to be there; empty for any.
        instance: its name; empty for any.
        skip: place of the first one.
    """
    found = [
        (group, card)
        for group in view.groups
        if instance in ("", group.name)
        for card in group.databases
        if fits(card, words)
    ]
    page = found[skip : skip + PAGE]
    groups = tuple(_grouped(page))
    if instance and not groups:
        groups = tuple(ShownGroup(group, (), True) for group in view.groups if group.name == instance)
    following = skip + PAGE if skip + PAGE < len(found) else 0
    return FleetRows(groups, len(page), len(found), following, len(page) == view.databases)


def _first_of(group: InstanceGroup, most: int) -> Sequence[DatabaseCard]:
    in_trouble = sum(bool(card.incidents) or card.is_unread for card in group.databases)
    return group.databases[: max(min(max(in_trouble, QUIET_ROWS), most), 0)]


def _grouped(page: Sequence[tuple[InstanceGroup, DatabaseCard]]) -> Iterator[ShownGroup]:
    cards: dict[str, list[DatabaseCard]] = {}
    groups: dict[str, InstanceGroup] = {}
    for group, card in page:
        groups[group.name] = group
        cards.setdefault(group.name, []).append(card)
    return (ShownGroup(group, tuple(cards[name]), True) for name, group in groups.items())
