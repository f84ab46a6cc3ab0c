"""A rule, what it finds, and what is told of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView

BOTH = (Engine.SQLSERVER, Engine.POSTGRES)
SQLSERVER = (Engine.SQLSERVER,)
POSTGRES = (Engine.POSTGRES,)


class Weight(StrEnum):
    """How much of the statement a finding is about, the heaviest first."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


HIGH_SHARE = 0.5
MEDIUM_SHARE = 0.15


def weight_of(share: float) -> Weight:
    """Weight of what concerns this share of the cost or time of the statement [0-1]."""
    if share >= HIGH_SHARE:
        return Weight.HIGH
    return Weight.MEDIUM if share >= MEDIUM_SHARE else Weight.LOW


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that a finding rests on."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule saw at one place of a statement.

    Attributes:
        text: what is true here, with its numbers, in one sentence; never a value of the statement.
        node: the operator it is about; None for the statement as a whole.
        share: of the cost or measured time that it concerns [0-1].
        measures: the numbers of the text.
        subject: what makes it the same finding in another plan; the table of the operator, else its name, if empty.
        advice: instead of that of the rule.
        script: SQL to run by hand after checking it; empty where none is safe to state.
        weight: instead of that of the share.
    """

    text: str
    node: Node | None = None
    share: float = 0.0
    measures: tuple[Measure, ...] = ()
    subject: str = ""
    advice: str = ""
    script: str = ""
    weight: Weight | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `slug` names its page, `title` heads it, `check` looks at one statement."""

    slug: str
    title: str
    advice: str
    engines: tuple[Engine, ...]
    check: Callable[[StatementView], Iterator[Found]]


def rule(
    slug: str, title: str, advice: str, engines: tuple[Engine, ...] = BOTH
) -> Callable[[Callable[[StatementView], Iterator[Found]]], Rule]:
    """Make a rule of a function that looks at one statement."""
    return lambda check: Rule(slug, title, advice, engines, check)


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding in a plan, ready to be told.

    Attributes:
        rule / title / advice: of the rule; the name is also that of the page `docs/findings/<rule>.md`.
        weight: how much it matters in this statement.
        statement: place of the statement in the plan, from 0.
        node: number of the operator in the statement, in plan order from 0; None for the statement as a whole.
        operator: `Index Scan on dbo.orders o`; empty without a node.
        share: of the cost or measured time that it concerns [0-1].
        text / measures / subject / script: see `Found`.
    """

    rule: str
    title: str
    weight: Weight
    statement: int
    node: int | None
    operator: str
    share: float
    text: str
    advice: str
    measures: tuple[Measure, ...] = ()
    subject: str = ""
    script: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Equal for the same finding in two plans of one statement."""
        return (self.rule, self.subject)

    @property
    def sentence(self) -> str:
        """The text as a sentence; names keep their case."""
        first = self.text.split(" ", 1)[0]
        begin = self.text[:1].upper() if first.isalpha() else self.text[:1]
        return f"{begin}{self.text[1:]}."

    @property
    def page(self) -> str:
        """Path of its page below the project."""
        return f"docs/findings/{self.rule}.md"


def counted(number: float, one: str) -> str:
    """`1 row`, `1,200 rows`."""
    told = figure(number)
    return f"{told} {one}" if told == "1" else f"{told} {one}s"


def rows(name: str, value: float) -> Measure:
    """A number of rows."""
    return Measure(name, value, "rows")
