"""All our statements with what their headings say: purpose, minimum version, permission, parameters."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from dbplanmon_pipeline.providers.sqlserver.editions import RELEASES, EngineEdition
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement

AZURE_ONLY = EngineEdition.AZURE_SQL_DB.value
"""Stands in place of a release where a statement is for that edition alone."""

LIST_MARK = "{ids}"

_HEADING = re.compile(
    r"Purpose: (?P<purpose>.+?)\.? Minimum version: (?P<release>[^.;,]+)(?:, [^.]+)?\."
    r"(?: Not on: (?P<excluded>[^.]+)\.)? Permission: (?P<permission>.+?)\.(?: |$)"
)
_PARAMETERS = re.compile(r"Parameters: (?P<parameters>[^.]+)\.")
_PARAMETER = re.compile(
    r"(?P<name>[^,]+?) "
    r"(?P<type>(?:bigint|int|float|datetime2|datetimeoffset|n?varchar|(?:var)?binary)(?:\([\dmax]+\))?)(?=,|$)"
)


@dataclass(frozen=True, slots=True)
class StatementInfo:
    """Heading of one statement.

    Attributes:
        name: of the file, without its ending.
        purpose: one clause.
        release: first release that has all it names, a key of `editions.RELEASES`, or AZURE_ONLY.
        permission: what the login must have, in words.
        excluded: the edition that lacks what it names; empty for none.
        parameters: (name, SQL type) of each `?` in order; a list of values counts as one.
        takes_list: it holds LIST_MARK.
    """

    name: str
    purpose: str
    release: str
    permission: str
    excluded: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    takes_list: bool = False

    def runs_on(self, level: int, edition: EngineEdition) -> bool:
        """True where the server has everything the statement names."""
        if self.release == AZURE_ONLY:
            return edition.is_one_database
        return level >= RELEASES[self.release] and self.excluded != edition.value


@cache
def inventory() -> tuple[StatementInfo, ...]:
    """Every statement that reads, by name.

    Raises:
        ValueError: a file without a proper heading.
    """
    folder = files("dbplanmon_pipeline.providers.sqlserver").joinpath("sql")
    names = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(statement_info(name, statement(name)) for name in names)


def statement_info(name: str, text: str) -> StatementInfo:
    """What the comment lines on top of a statement say.

    Raises:
        ValueError: purpose, minimum version or permission is not told, the version is not known, or there are more or
            fewer parameters than the heading says.
    """
    heading = " ".join(line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--"))
    found = _HEADING.search(heading)
    if found is None or found["release"] not in (*RELEASES, AZURE_ONLY):
        raise ValueError(f"{name}: the heading tells no purpose, minimum version and permission")
    told = _PARAMETERS.search(heading)
    parameters = _PARAMETER.findall(told["parameters"].replace(", ", ",")) if told else []
    if len(parameters) != text.count("?") + text.count(LIST_MARK):
        raise ValueError(f"{name}: the heading tells of {len(parameters)} parameters, the text has others")
    return StatementInfo(
        name=name,
        purpose=found["purpose"],
        release=found["release"],
        permission=found["permission"],
        excluded=found["excluded"] or "",
        parameters=tuple(parameters),
        takes_list=LIST_MARK in text,
    )
