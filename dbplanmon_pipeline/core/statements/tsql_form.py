"""The normal form of a T-SQL statement: equal for texts that differ in values, names of variables, case and blanks."""

import re

from dbplanmon_pipeline.core.statements.atoms import MARK, NAME, atoms_of
from dbplanmon_pipeline.core.statements.lists import ListFolder
from dbplanmon_pipeline.core.statements.tsql import (
    COMMENTS,
    LITERALS,
    has_quoted_names,
    tsql_tokens,
    tsql_value_tokens,
)
from dbplanmon_pipeline.core.statements.tsql_calls import runs_a_statement, statement_called
from dbplanmon_pipeline.core.statements.tsql_frame import end_of_frame

_ATOM = re.compile(
    r"""
      [^\W\d][\w@$#]*+ | [,.()?;] | [@#]++[\w@$#]*+ | \0 | [$£€¥][-+]?\?(?:,\?)*+ | \$[^\W\d]\w*+
    | <\s*+[>=] | >\s*+= | !\s*+[=<>] | [-+*/%&|^]\s*+= | :: | \S
    """,
    re.VERBOSE,
)
_WITH_NAMES = {**dict.fromkeys(LITERALS, MARK), **dict.fromkeys(COMMENTS, " "), "bracket": NAME, "quoted": NAME}
_WITH_STRINGS = {**_WITH_NAMES, "quoted": MARK}
_SPELLINGS = {
    "!=": "<>",
    "!<": ">=",
    "!>": "<=",
    "execute": "exec",
    "proc": "procedure",
    "tran": "transaction",
}
_APART = re.compile(r"[-+*/%&|^<>!](?:\s+[=<>]|\s*(?:/\*|--))")
"""The server takes `> =` for `>=`, however far apart."""

_SIGNS = frozenset("-+*/%&|^<>!")
_CURRENCIES = "$£€¥"
_PLAIN_NAME = re.compile(r"#{0,2}[^\W\d][\w@$#]*")
_KEEP_BRACKETS_WORDS = """
    all and any apply as begin between by case catch cross current_date current_time current_timestamp current_user
    declare default delete else end exec execute exists false fetch from go if in insert intersect into is join like
    merge not null on or order over proc select session_user set some system_user table then top tran true union
    update user using values when where with
"""
_KEEP_BRACKETS = frozenset(_KEEP_BRACKETS_WORDS.split())
"""Without brackets these names mean something else, to the server or to this reading."""
_TEMPORARY = re.compile(
    r"(#{1,2}[^\W\d][\w@$]*?)"
    r"(?:_{3,}[0-9a-f]{8,16}|_?\d{4,}|_?[0-9a-f]{8}(?:_?[0-9a-f]{4}){3}_?[0-9a-f]{12}|_(?=[a-f]*\d)[0-9a-f]{8,})"
)
"""What the engine, or a program that makes names unique, hangs behind the name of a temporary table."""
_TABLE_FOLLOWS = frozenset({"apply", "delete", "from", "insert", "into", "join", "merge", "update", "using"})
_DEEPEST = 8


def tsql_form(text: str) -> list[str]:
    """The atoms of the normal form.

    Args:
        text: one statement, as a batch, Query Store, a plan or the plan cache shows it.
    """
    text = text.replace(NAME, " ")
    atoms = _atoms(text)
    for _ in range(_DEEPEST):
        if not runs_a_statement(atoms) or (inner := _dynamic_statement(text)) is None:
            break
        text = inner
        atoms = _atoms(text)
    atoms = atoms[end_of_frame(atoms) :]
    while atoms and atoms[-1] == ";":
        atoms.pop()
    kept_name = _is_function if atoms[:1] == ["fetch"] else _is_table
    return _without_document_names(ListFolder("@", kept_name, folds_arrays=False).fold(atoms))


def _atoms(text: str) -> list[str]:
    tokens = tsql_value_tokens(text)
    replaced = _WITH_NAMES if has_quoted_names(text, tokens) else _WITH_STRINGS
    atoms = atoms_of(tokens, replaced, _name, _ATOM, ascii_only=False)
    if _APART.search(text):
        atoms = ["".join(atom.split()) if atom[0] in _SIGNS else atom for atom in atoms]
    if not _SPELLINGS.keys().isdisjoint(atoms):
        atoms = [_SPELLINGS.get(atom, atom) for atom in atoms]
    odd = "#" in text or any(sign in text for sign in _CURRENCIES)
    return [_respelled(atom) for atom in atoms] if odd else atoms


def _name(quoted: str) -> str:
    """`[Total 1]` as `[total 1]`, but `[Orders]` as `orders`."""
    mark = quoted[-1]
    name = quoted[1:-1].replace(mark * 2, mark).lower()
    if _PLAIN_NAME.fullmatch(name) and name not in _KEEP_BRACKETS:
        return name
    return f"[{name.replace(']', ']]')}]"


def _respelled(atom: str) -> str:
    if atom[0] == "#":
        found = _TEMPORARY.fullmatch(atom)
        return found.group(1) if found else atom
    return MARK if atom[0] in _CURRENCIES and atom[-1] == MARK else atom


def _is_function(atom: str, _: str) -> bool:
    """`@@rowcount` is no variable."""
    return atom[1:2] == "@"


def _is_table(atom: str, before: str) -> bool:
    return before in _TABLE_FOLLOWS or _is_function(atom, before)


def _without_document_names(atoms: list[str]) -> list[str]:
    """`from @x.nodes(...)` reads a document in a variable, no table."""
    followed = zip(atoms, [*atoms[1:], ""], strict=True)
    return (
        [MARK if after == "." and atom[0] == "@" else atom for atom, after in followed] if "nodes" in atoms else atoms
    )


def _dynamic_statement(text: str) -> str | None:
    """The statement in `exec sp_executesql N'...'` and its like; None where the text is something else."""
    called = statement_called(text, list(tsql_tokens(text)))
    if called is None:
        return None
    begin, statement = called
    return statement if _is_preparation(_atoms(text[:begin])) else None


def _is_preparation(atoms: list[str]) -> bool:
    """True for nothing but what stands in front of a statement, and `set @p1 = 5`, as traces show it before a call."""
    call = [*atoms, "exec"]
    while call != ["exec"]:
        behind = end_of_frame(call)
        if not behind and call[0] == "set" and call[1][:1] == "@" and call[2:4] in (["=", MARK], ["=", "null"]):
            behind = 4
        if not behind:
            return False
        call = call[behind:]
    return True
