"""Types for parameters that no longer tell theirs: `date + 20` was normalised to `date + $1`, which is ambiguous."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from dbplanmon_pipeline.providers.postgres.explain import explain, question_of
from dbplanmon_pipeline.providers.postgres.explainable import PARAMETER, SPACE, WORD, Explainable, tokens_of
from dbplanmon_pipeline.providers.postgres.session import Session

MOST_TRIALS = 8
"""Times a statement is planned anew, a millisecond or two each."""

_TYPES = {
    "42725": ("integer", "interval"),
    "42883": ("integer", "text", "timestamptz"),
    "42804": ("integer", "text", "timestamptz"),
    "42P18": ("text", "integer"),
    "42P08": ("text", "integer"),
}
"""SQLSTATE of an error that a type may mend, and which; ambiguous, not there, not fitting, cannot be told."""

_NO_RIGHT = "42501"
_NEAREST = 2


def explain_typed(
    session: Session, version_number: int, wanted: Explainable, settings: Mapping[str, str]
) -> tuple[Any, Explainable]:
    """A plan of a statement and the statement as it was planned: with types behind some parameters where it needs them.

    Tried are integer, interval, text and timestamptz on the parameters nearest to what the server objects to, and on
    those that stand alone in a list of results. A type that only moves the objection further on is kept.

    Raises:
        psycopg.Error: what the server said of the statement as it was, or that the right to it is missing.
        QueryTimedOut: the budget is spent or somebody cancelled.
    """
    refused: psycopg.Error | None = None
    waiting, furthest = [wanted], -1
    for _ in range(1 + MOST_TRIALS):
        if not waiting:
            break
        candidate = waiting.pop(0)
        try:
            return explain(session, version_number, candidate, settings), candidate
        except psycopg.Error as error:
            if not session.alive or error.sqlstate == _NO_RIGHT:
                # Rights are looked at last: the types are right.
                raise
            refused = refused or error
            if error.sqlstate not in _TYPES or not wanted.parameters:
                continue
            at = _place(error, candidate, version_number)
            objection = at - (len(candidate.text) - len(wanted.text))
            if candidate is wanted or objection > furthest:
                waiting, furthest = list(_typed(candidate, error, at)), objection
    assert refused
    raise refused


def _place(error: psycopg.Error, wanted: Explainable, version_number: int) -> int:
    """Character of the statement that the server objects to, or the number of the parameter where it names none."""
    told = error.diag.statement_position
    if told:
        return int(told) - 1 - question_of(wanted, version_number).index(wanted.text)
    return next(iter(_named(error)), -1)


def _named(error: psycopg.Error) -> list[int]:
    return [int(number) for number in re.findall(r"\$(\d+)", error.diag.message_primary or "")]


def _typed(wanted: Explainable, error: psycopg.Error, at: int) -> Iterator[Explainable]:
    """The statement with one more type, the likeliest first."""
    numbers = _named(error)
    if not numbers:
        found = sorted(_untyped(wanted.text), key=lambda one: abs(one.begin - at))
        near, alone = found[:_NEAREST], [one for one in found if one.is_alone]
        numbers = list(dict.fromkeys(one.number for one in (*near, *alone)))
    for type_name in _TYPES[error.sqlstate or ""]:
        for number in numbers:
            text = re.sub(rf"\${number}\b(?!::)", f"${number}::{type_name}", wanted.text)
            if text != wanted.text:
                yield replace(wanted, text=text)


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One without a type: its first character, its number, and whether it stands alone in a list of results."""

    begin: int
    number: int
    is_alone: bool


def _untyped(text: str) -> Iterator[_Parameter]:
    solid, begin = [], 0
    for name, token in tokens_of(text):
        if name != SPACE:
            solid.append((name, token.lower(), begin))
        begin += len(token)
    around = [("", "", 0), *solid, ("", "", 0), ("", "", 0)]
    for (_, before, _), (name, token, place), (kind, after, _), (_, next_one, _) in zip(
        around, around[1:], around[2:], around[3:], strict=False
    ):
        if name == PARAMETER and (after, next_one) != (":", ":"):
            is_alone = before in ("select", ",") and (kind == WORD or after in (",", ""))
            yield _Parameter(place, int(token[1:]), is_alone)
