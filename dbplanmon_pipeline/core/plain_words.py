"""Figures and foreign text as a person reads them in a mail, a chat or a log."""

import math
import re
import unicodedata
from datetime import UTC, datetime

UNKNOWN = "unknown"

_BLANK = frozenset({"Zl", "Zp", "Zs"})
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Cn"})
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


# Controls but for tab and line ends, soft hyphen, marks of direction and width, tags, halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000110bd\U000e0000-\U000e0fff]"
)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 incident`, `3 incidents`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def visible(text: str) -> str:
    """Text whose invisible characters show by their number, such as `<U+202E>` in angle brackets of mathematics.

    So that nothing on a page is written in another order, or holds more, than people see.
    """
    return _UNSEEN.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)


def one_line(text: str, limit: int | None = None) -> str:
    """Text without line breaks, control characters and marks that turn the direction of writing.

    Args:
        text: anything, hostile too.
        limit: longest result [characters]; what is cut ends in an ellipsis.
    """
    folded = "".join(_harmless(character) for character in text)
    line = " ".join(folded.split())
    if limit is None or len(line) <= limit:
        return line
    return line[: limit - 1].rstrip() + "…"


def lines_of(text: str) -> list[str]:
    """Lines of a script, each made harmless, blanks kept, empty lines at either end left out.

    Only what a database takes for the end of a line ends one: a comment must not turn into a command.
    """
    found = ["".join(_harmless(character) for character in raw).rstrip() for raw in re.split(r"\r\n|\n|\r", text)]
    while found and not found[-1]:
        found.pop()
    while found and not found[0]:
        found.pop(0)
    return found


def _harmless(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    category = unicodedata.category(character)
    if category in _BLANK or character in "\t\n\r\v\f\x85":
        return " "
    return "" if category in _UNWANTED else character


def duration_words(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`: the two largest units that matter."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole = round(max(0.0, seconds))
    step = 1 if whole < 600 else 60 if whole < 86_400 else 3_600
    parts, rest = [], round(whole / step) * step
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def cost_words(microseconds: float) -> str:
    """Time per execution with three digits: `850 µs`, `3.2 ms`, `1.45 s`, `2 min 5 s`."""
    if not math.isfinite(microseconds):
        return UNKNOWN
    if microseconds < 999.5:
        return f"{_three_digits(microseconds)} µs"
    if microseconds < 999_500:
        return f"{_three_digits(microseconds / 1e3)} ms"
    seconds = microseconds / 1e6
    return f"{_three_digits(seconds)} s" if seconds < 99.5 else duration_words(seconds)


def seconds_words(seconds: float) -> str:
    """An amount of work: `0.4 s`, `140 s`, `12,300 s`; three digits that count."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if abs(seconds) < 999.5:
        return f"{_three_digits(seconds)} s"
    size = 10 ** (len(str(int(abs(seconds)))) - 3)
    return f"{round(seconds / size) * size:,} s"


def ratio_words(ratio: float) -> str:
    """`1.5x`, `8.2x`, `140x`."""
    return f"{ratio:.1f}x" if abs(ratio) < 99.5 else f"{_three_digits(ratio)}x"


def moment_words(moment: datetime) -> str:
    """`2026-11-22 14:05 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def hash_words(value: int) -> str:
    """A signed 64-bit hash as 16 hex digits, the unknown one as `unknown`."""
    return format(value % (1 << 64), "016x") if value else UNKNOWN


def _three_digits(value: float) -> str:
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    if abs(value) >= 9.995:
        return f"{value:.1f}".removesuffix(".0")
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
