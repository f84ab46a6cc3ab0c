"""The normal form of a PostgreSQL statement: equal for texts that differ in values, their casts, case and blanks."""

import re
from collections.abc import Sequence

from dbplanmon_pipeline.core.statements.atoms import MARK, NAME, atoms_of
from dbplanmon_pipeline.core.statements.lists import ListFolder
from dbplanmon_pipeline.core.statements.postgres import COMMENTS, LITERALS, postgres_value_tokens

_ATOM = re.compile(
    r"""
      [a-z_\x80-\U0010ffff][a-z0-9_$\x80-\U0010ffff]*+ | [,.()?;] | :: | \$\d++ | \0
    | [-+*/<>=~!@\#%^&|`]*[~!@\#%^&|`][-+*/<>=~!@\#%^&|`]* | [-+*/<>=]*[*/<>=] | \S
    """,
    re.VERBOSE,
)
_REPLACED = {**dict.fromkeys(LITERALS, MARK), **dict.fromkeys(COMMENTS, " "), "quoted": NAME}
_TEMPORARY = re.compile(r"(pg_(?:toast_)?temp)_\d+")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
_KEEP_QUOTES_WORDS = """
    all and any array as between by case cast current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default distinct else end exists false from group having in insert into is lateral
    like limit localtime localtimestamp not null offset on or order returning select session_user set some table then
    true union user using values when where with
"""
_KEEP_QUOTES = frozenset(_KEEP_QUOTES_WORDS.split())
"""Without quotes these names mean something else, to the server or to this reading."""
_MOMENTS = frozenset({"date", "interval", "time", "timestamp", "timestamptz", "timetz"})
"""Types whose name stands before a value more often than `::` behind it; other words may be names of columns."""

_NAMES_OF_SESSIONS = frozenset({"deallocate", "unlisten"})
"""Behind them stands what a client made up for its own session, or all of it."""

_DATE = re.compile(r"(?<=_)(?:19|20)\d\d_?(?:0[1-9]|1[0-2])(?:_?(?:0[1-9]|[12]\d|3[01]))?(?![^\W_])")
"""At the end of a name or of a part of it."""

_TABLE_FOLLOWS = frozenset({"from", "into", "join", "only", "table", "truncate", "update", "using"})
_LONG_TYPES = frozenset({"varying", "precision", "zone", "time", "with", "without"})


def postgres_form(text: str) -> list[str]:
    """The atoms of the normal form.

    Args:
        text: one statement, as it was sent or as `pg_stat_statements` shows it.
    """
    atoms = _without_casts(_atoms(text))
    while atoms and atoms[-1] == ";":
        atoms.pop()
    if atoms and atoms[0] in _NAMES_OF_SESSIONS and ";" not in atoms:
        return [atoms[0], MARK]
    if _DATE.search(text):
        atoms = _without_dates(atoms)
    return _with_sorted_columns(ListFolder("$", _is_no_parameter, folds_arrays=True).fold(atoms))


def _atoms(text: str) -> list[str]:
    atoms = atoms_of(postgres_value_tokens(text.replace(NAME, " ")), _REPLACED, _name, _ATOM, ascii_only=True)
    if "!=" in text:
        atoms = ["<>" if atom == "!=" else atom for atom in atoms]
    return [_TEMPORARY.sub(r"\1", atom) for atom in atoms] if "_temp_" in text.lower() else atoms


def _name(quoted: str) -> str:
    """`"Orders"` stays, but `"orders"` is `orders`."""
    name = quoted[1:-1]
    return name if _PLAIN_NAME.fullmatch(name) and name not in _KEEP_QUOTES else quoted


def _is_no_parameter(atom: str, _: str) -> bool:
    return len(atom) == 1


def _without_casts(atoms: list[str]) -> list[str]:
    """Literals and parameters without `::type` behind them, and without `date` or `interval` in front."""
    typed = not _MOMENTS.isdisjoint(atoms)
    if not typed and "::" not in atoms:
        return atoms
    kept: list[str] = []
    place = 0
    while place < len(atoms):
        atom = atoms[place]
        if atom == "::" and kept and _is_value(kept[-1]):
            place = _end_of_type(atoms, place + 1)
        elif typed and atom in _MOMENTS and (value := _typed_value(atoms, place)):
            place = value
        else:
            kept.append(atom)
            place += 1
    return kept


def _is_value(atom: str) -> bool:
    return atom == MARK or atom[0] == "$"


def _typed_value(atoms: Sequence[str], place: int) -> int:
    """Where the value in `date ?` or `timestamp (3) with time zone ?` stands; 0 where this is no type."""
    if atoms[place + 1 : place + 2] == ["zone"] or (place and atoms[place - 1] == "."):
        return 0
    end = _end_of_type(atoms, place)
    return end if end < len(atoms) and _is_value(atoms[end]) else 0


def _without_dates(atoms: list[str]) -> list[str]:
    """Tables of one day or month, as `t_20260131`, with a mark for the date wherever they are named."""
    tables = (_end_of_name(atoms, place + 1) for place, atom in enumerate(atoms[:-1]) if atom in _TABLE_FOLLOWS)
    dated = {name for name in tables if _DATE.search(name)}
    return [_DATE.sub(MARK, atom) if atom in dated else atom for atom in atoms]


def _end_of_type(atoms: Sequence[str], place: int) -> int:
    """Behind `character varying (10) []`, `timestamp (3) with time zone`, `pg_catalog.int4`."""
    place += 1
    while place < len(atoms):
        word = atoms[place]
        if word == "." or atoms[place - 1] == "." or word in _LONG_TYPES:
            place += 1
        elif word in ("(", "[") and (end := _behind_modifier(atoms, place)):
            place = end
        else:
            break
    return place


def _behind_modifier(atoms: Sequence[str], opening: int) -> int:
    """Behind `(10, 2)` or `[]`; 0 where the bracket holds anything but numbers."""
    closing = ")" if atoms[opening] == "(" else "]"
    for place in range(opening + 1, len(atoms)):
        if atoms[place] == closing:
            return place + 1
        if atoms[place] not in (MARK, ","):
            return 0
    return 0


def _end_of_name(atoms: Sequence[str], place: int) -> str:
    """`t` of `s.t`."""
    while place + 2 < len(atoms) and atoms[place + 1] == ".":
        place += 2
    return atoms[place]


def _with_sorted_columns(atoms: list[str]) -> list[str]:
    """`insert into t (b, a) values (?)` as `insert into t (a, b) values (?)`: the values are one mark anyway."""
    if atoms[:2] != ["insert", "into"] or "values" not in atoms:
        return atoms
    values = atoms.index("values")
    if atoms[values : values + 4] != ["values", "(", MARK, ")"] or atoms[values - 1] != ")" or "(" not in atoms:
        return atoms
    begin = atoms.index("(") + 1
    columns = atoms[begin : values - 1 : 2]
    if begin > values or any(comma != "," for comma in atoms[begin + 1 : values - 1 : 2]) or MARK in columns:
        return atoms
    joined = [part for column in sorted(columns) for part in (column, ",")][:-1]
    return [*atoms[:begin], *joined, *atoms[values - 1 :]]
