"""What plans and caches of SQL Server show in front of a statement and is none: parameters, BEGIN, declarations."""

from collections.abc import Sequence

_NO_BLOCK = frozenset({"transaction", "distributed", "dialog", "conversation"})
_BLOCKS = frozenset({"try", "catch"})
_TYPE_PARTS = frozenset({".", "varying", "precision"})


def end_of_frame(atoms: Sequence[str]) -> int:
    """Where the statement begins: behind `(@p int)`, `;`, BEGIN, END, ELSE, labels and declarations without a value.

    A text of nothing else begins at its begin.
    """
    place = _end_of_parameters(atoms)
    while place < len(atoms) and (after := _end_of_part(atoms, place)) > place:
        place = after
    return place if place < len(atoms) else 0


def _end_of_parameters(atoms: Sequence[str]) -> int:
    if atoms[:1] == ["("] and len(atoms) > 1 and atoms[1][0] == "@":
        return _behind_bracket(atoms, 0)
    return 0


def _end_of_part(atoms: Sequence[str], place: int) -> int:
    """Behind the part that begins here; here where it belongs to the statement."""
    word, following = atoms[place], atoms[place + 1] if place + 1 < len(atoms) else ""
    if word in (";", "else"):
        return place + 1
    if word in ("begin", "end"):
        return place if following in _NO_BLOCK else place + 1 + (following in _BLOCKS)
    if word == "declare" and following[:1] == "@":
        return _end_of_declarations(atoms, place)
    if following == ":" and word.isidentifier():
        return place + 2
    return place


def _end_of_declarations(atoms: Sequence[str], declare: int) -> int:
    """Behind `declare @a int, @b table (...)`; at its begin where a variable gets a value."""
    place = declare + 1
    while place < len(atoms):
        place += 1 + (atoms[place + 1 : place + 2] == ["as"])
        place = _end_of_type(atoms, place)
        if atoms[place : place + 1] == ["="]:
            return declare
        if atoms[place : place + 1] != [","]:
            break
        place += 1
    return min(place, len(atoms))


def _end_of_type(atoms: Sequence[str], place: int) -> int:
    place += 1
    while place < len(atoms) and (atoms[place] in _TYPE_PARTS or atoms[place - 1] == "."):
        place += 1
    return _behind_bracket(atoms, place) if atoms[place : place + 1] == ["("] else place


def _behind_bracket(atoms: Sequence[str], opening: int) -> int:
    depth = 0
    for place in range(opening, len(atoms)):
        depth += {"(": 1, ")": -1}.get(atoms[place], 0)
        if not depth:
            return place + 1
    return len(atoms)
