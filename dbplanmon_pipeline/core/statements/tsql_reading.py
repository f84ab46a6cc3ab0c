"""Whether a T-SQL text is one statement that only reads, told from its tokens before a server sees it.

T-SQL needs no semicolon between statements, so every word outside of strings, quoted names and comments counts.
"""

import re

from dbplanmon_pipeline.core.statements.tsql import tsql_tokens

_WRITING_WORDS = """
    ADD ALTER BACKUP BEGIN BREAK BULK CHECKPOINT CLOSE COMMIT CONTINUE CONVERSATION CREATE CURSOR DBCC DEALLOCATE
    DECLARE DELETE DENY DIALOG DISK DROP DUMP ERRLVL EXEC EXECUTE EXIT GOTO GRANT IF INSERT INTO KILL LOAD MERGE OPEN
    OPENDATASOURCE OPENQUERY OPENROWSET PRINT PROC PROCEDURE RAISERROR READTEXT RECEIVE RECONFIGURE RESTORE RETURN
    REVERT REVOKE ROLLBACK RULE SAVE SET SETUSER SHUTDOWN THROW TRAN TRANSACTION TRIGGER TRUNCATE UPDATE UPDATETEXT
    WAITFOR WHILE WRITETEXT
"""
"""None of them stands in a SELECT, but for hints and quoted names; most are reserved words."""

_WRITING = frozenset(_WRITING_WORDS.split())
_ONLY_WITHIN_BRACKETS = frozenset({"USE"})
_ODD_CHARACTER = re.compile("[^\\S \\t\\r\\n\u00a0]|[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f]")
"""Nobody shall wonder where a server takes a comment to end."""
_WORD = re.compile(r"(?<![@#])[@#]*+[^\W\d][\w@$#]*+|[();]")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_SILENT = frozenset({"string", "bracket", "quoted", "line", "block"})


def why_not_reading(text: str) -> str:
    """Why a text is not one reading statement, in words without any of its own but keywords; empty where it is."""
    if _ODD_CHARACTER.search(text):
        return "it holds a control character or an unusual blank"
    words: list[str] = []
    for kind, value, _, _ in tsql_tokens(text):
        if kind == "open":
            return "a quoted name is not closed"
        # SQL Server reads `1DELETE` as a number and a word.
        if kind == "number" and not _NUMBER.fullmatch(value):
            return "a number runs into a word; put a space between them"
        if kind in ("plain", "other"):
            words += _WORD.findall(value.upper())
        elif kind not in _SILENT:
            words.append("0")
    while words[:1] == [";"]:
        del words[0]
    return _complaint(words)


def end_of_first_word(text: str) -> int:
    """Where the first word outside of comments ends; the end of the text where there is none."""
    for kind, value, begin, _ in tsql_tokens(text):
        if kind in ("plain", "other") and (found := re.search(r"[^\W\d][\w@$#]*", value)):
            return begin + found.end()
    return len(text)


def _complaint(words: list[str]) -> str:
    if not words or words[0] not in ("SELECT", "WITH"):
        return "it does not begin with SELECT or WITH"
    if ";" in words[:-1]:
        return "it holds more than one statement"
    if "SELECT" not in words:
        return "it has no SELECT"
    depth = 0
    for place, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        hint = word == "MERGE" and words[place + 1 : place + 2] in (["JOIN"], ["UNION"])
        if (word in _WRITING and not hint) or (word in _ONLY_WITHIN_BRACKETS and depth <= 0):
            return f"it holds the word {word}"
        if words[place : place + 3] == ["NEXT", "VALUE", "FOR"]:
            return "it takes a number from a sequence"
    return ""
