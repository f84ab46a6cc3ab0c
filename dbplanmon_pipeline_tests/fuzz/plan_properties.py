"""What must be true of the plans of any engine: they are told or refused, and no value of a statement gets out."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.encoding import plan_text
from dbplanmon_pipeline.core.plans.stored import parse_plan
from dbplanmon_pipeline.core.plans.tree import Plan
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.fuzz.plan_checks import complaint_of, differences_told, read_or_refused, words_about
from dbplanmon_pipeline_tests.fuzz.plan_mutations import PlanFile, cut_off, files, interleaved, mutated, repeated
from dbplanmon_pipeline_tests.fuzz.planted_plans import PlantedPlan
from dbplanmon_pipeline_tests.fuzz.properties import Property


@dataclass(frozen=True)
class PlanForm:
    """How plans of one engine are made up, and what reads them.

    Attributes:
        name: as `CapturedPlan.format` has it.
        parse: reads a text, or refuses it.
        redact: takes the values out of a text.
        seeds: plans as they stand, and `pieces` of such texts.
        reshaped: plans with odd parts, still well formed.
        deep: operators within each other many times over.
        wrapped: puts plans into what files hold besides.
        planted_everywhere: values wherever a server might ever write one.
        planted_by_servers: values where they write those of a statement.
        strings: all that a text holds, if it is a plan; none where no string of one plan can end in another.
    """

    name: str
    parse: Callable[[str], Plan]
    redact: Callable[[str], str]
    seeds: Sequence[str]
    pieces: Sequence[str]
    reshaped: st.SearchStrategy[str]
    deep: st.SearchStrategy[str]
    wrapped: Callable[[st.SearchStrategy[str]], st.SearchStrategy[str]]
    planted_everywhere: st.SearchStrategy[PlantedPlan]
    planted_by_servers: st.SearchStrategy[PlantedPlan]
    strings: Callable[[str], AbstractSet[str]] = lambda _text: frozenset()


def plan_properties(form: PlanForm) -> tuple[Property, ...]:
    """The properties of what reads plans of one engine."""
    return (*_readable(form), *_safe(form))


def _readable(form: PlanForm) -> tuple[Property, ...]:
    parse = form.parse

    def is_read_or_refused(text: str) -> None:
        read_or_refused(parse, text)

    def is_compared(texts: tuple[str, str]) -> None:
        try:
            plans = [parse(text) for text in texts]
        except PlanParseError:
            return
        differences_told(*plans)

    def file_is_read_or_refused(file: PlanFile) -> None:
        texts: list[str] = []
        if complaint_of(lambda: texts.append(plan_text(file.raw))):
            assert file.text is None
            return
        assert file.text is None or texts == [file.text]
        read_or_refused(parse_plan, texts[0])

    whole = st.one_of(form.reshaped, st.sampled_from(form.seeds))
    damaged = mutated(form.seeds, form.pieces)
    parts = st.one_of(interleaved(whole), interleaved(whole), cut_off(form.wrapped(whole)))
    pairs = st.tuples(st.one_of(form.reshaped, form.reshaped, form.deep), whole)
    return (
        Property("a plan with odd parts is told or refused", form.reshaped, is_read_or_refused),
        Property("a deep plan is told or refused", form.deep, is_read_or_refused),
        Property("two plans of any kind are compared", pairs, is_compared),
        Property("plans in parts are told or refused", parts, is_read_or_refused),
        Property(
            "a file of any encoding is told or refused",
            files(form.wrapped(st.one_of(whole, damaged))),
            file_is_read_or_refused,
        ),
        Property("a damaged plan is told or refused", damaged, is_read_or_refused),
        Property("any text is told or refused", repeated((*form.pieces, *form.seeds[:2])), is_read_or_refused),
    )


def _safe(form: PlanForm) -> tuple[Property, ...]:
    parse, redact = form.parse, form.redact

    def keeps_its_shape(text: str) -> None:
        try:
            safe, before = redact(text), parse(text)
        except PlanParseError:
            return
        assert parse(safe).counts == before.counts
        assert redact(safe) == safe

    def nothing_survives(planted: PlantedPlan) -> None:
        assert not planted.leaks(redact(planted.text))

    def nothing_survives_of_a_part(drawn: tuple[PlantedPlan, PlantedPlan, float, int]) -> None:
        one, other, share, size = drawn
        cut = round(len(one.text) * share)
        whole = form.strings(one.text) | form.strings(other.text)
        for text in (one.text[:cut], one.text[:cut] + other.text, one.text[:size] + other.text[:cut] + one.text[size:]):
            if form.strings(text) - whole:
                # Half a literal behind half of another string is a word, like any name.
                continue
            try:
                told = redact(text)
            except PlanParseError as refused:
                told = str(refused)
            assert not one.leaks(told)
            assert not other.leaks(told)

    def nothing_is_told(planted: PlantedPlan) -> None:
        old, new = parse(planted.before), parse(planted.text)
        for words in words_about(old, new, (planted.before, planted.text), form.name):
            assert not planted.leaks(words), words

    everywhere = form.planted_everywhere
    shapes = st.one_of(
        form.reshaped, form.deep, everywhere.map(lambda planted: planted.text), mutated(form.seeds, form.pieces)
    )
    parts = st.tuples(everywhere, everywhere, st.floats(0, 1), st.integers(0, 5_000))
    return (
        Property("a redacted plan keeps its shape", shapes, keeps_its_shape),
        Property("no planted value survives", everywhere, nothing_survives),
        Property("no planted value survives in a part", parts, nothing_survives_of_a_part),
        Property("no value of a statement is told", form.planted_by_servers, nothing_is_told),
    )
