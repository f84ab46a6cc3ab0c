"""Indexes that were tried on the planner without building them, and what becomes of them as advice."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.remedies.index_ddl import index_scripts
from dbplanmon_pipeline.core.remedies.suggestion_drafts import Draft, SuggestionKind

WORTH_GAIN = 0.5
"""Of the cost without it; an index that leaves more is not passed on."""

_PART = "what_if"
_PLACE = re.compile(
    r'\sON\s+(?:ONLY\s+)?(?P<table>(?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?)\s*(?:USING\s+btree\s*)?'
    r"\((?P<keys>[^()]*)\)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An index that is not there: the statement that makes it, and the planner's cost without and with it."""

    definition: str
    cost: float
    cost_with: float

    @property
    def gain(self) -> str:
        """`52 instead of 4,333`."""
        return f"{figure(self.cost_with)} instead of {figure(self.cost)}"

    @property
    def table(self) -> str:
        """`public.orders`."""
        return _place(self.definition)[0]

    @property
    def place(self) -> str:
        """`public.orders (status, at)`."""
        return _place_words(_place(self.definition))


def as_context(tried: Sequence[WhatIf]) -> dict[str, Any]:
    """The part of a plan's context that keeps them; empty without any."""
    return (
        {_PART: [{"index": one.definition, "cost": one.cost, "cost_with": one.cost_with} for one in tried]}
        if tried
        else {}
    )


def what_ifs(context: Mapping[str, Any]) -> tuple[WhatIf, ...]:
    """Those that the context of a plan keeps."""
    kept = context.get(_PART)
    entries = [entry for entry in kept if isinstance(entry, dict)] if isinstance(kept, list) else []
    found = (WhatIf(str(one.get("index", "")), _number(one, "cost"), _number(one, "cost_with")) for one in entries)
    return tuple(one for one in found if index_scripts(one.definition, Engine.POSTGRES) and one.cost > 0.0)


def advised_by_planner(old: CapturedPlan | None, new: CapturedPlan | None, others: Sequence[Draft]) -> list[Draft]:
    """The other drafts, with what the planner says of an index they bring back, and one for each further index.

    Args:
        old: the former plan; an index that would have served it, too, explains nothing.
        new: the present plan.
        others: drafts that are there already.
    """
    tried = what_ifs(new.context) if new else ()
    before = {_place(one.definition) for one in what_ifs(old.context)} if old else set()
    fresh = [one for one in tried if _place(one.definition) not in before]
    brought_back = [draft for draft in others if draft.kind == SuggestionKind.RECREATE_INDEX]
    alone = (one for one in fresh if not any(_serves(draft.script, one) for draft in brought_back))
    return [*(_with_gain(draft, tried) for draft in others), *_drafts(alone)]


def _serves(script: str, tried: WhatIf) -> bool:
    """True where the index of the script begins with the columns of the one that was tried."""
    (table, keys), (wanted_table, wanted) = _place(script), _place(tried.definition)
    return table == wanted_table and keys[: len(wanted)] == wanted


def _with_gain(draft: Draft, tried: Sequence[WhatIf]) -> Draft:
    served = [one for one in tried if _serves(draft.script, one)]
    if not served or draft.kind != SuggestionKind.RECREATE_INDEX:
        return draft
    words = f" The planner, shown one on {served[0].place} by hypopg, puts the statement at a cost of {served[0].gain}."
    return replace(draft, rationale=draft.rationale + words)


def _drafts(tried: Iterator[WhatIf]) -> Iterator[Draft]:
    for one in tried:
        scripts = index_scripts(one.definition, Engine.POSTGRES)
        if scripts:
            yield Draft(
                SuggestionKind.CREATE_INDEX,
                "medium",
                f"With an index on {one.place} the planner puts the statement at a cost of {one.gain}: hypopg showed "
                "it one when the present plan was read, nothing was built. It looks at one statement only: compare "
                "with the indexes that are there, and mind that every write to the table maintains one more. It is "
                "built without blocking writes, cannot run inside a transaction, and needs disk space and I/O.",
                scripts.create,
                scripts.drop,
            )


_Place = tuple[str, tuple[str, ...]]


def _place(definition: str) -> _Place:
    """Table and columns, without quotes; empty where they cannot be told."""
    found = _PLACE.search(definition)
    if found is None:
        return "", ()
    return found["table"].replace('"', ""), tuple(key.strip().replace('"', "") for key in found["keys"].split(","))


def _place_words(place: _Place) -> str:
    return f"{place[0]} ({', '.join(place[1])})"


def _number(entry: Mapping[str, Any], name: str) -> float:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
