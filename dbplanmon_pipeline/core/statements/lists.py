"""Lists of values in a statement: however long they are, one mark stands for all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.statements.atoms import MARK

_LISTED = frozenset({MARK, ",", "null", "default", "true", "false"})
_OPENING = frozenset("([")
_BRACKETS_AND_MARKS = frozenset("()[]") | {MARK}
_LISTS = frozenset({"in", "values"})
_SIGNS = frozenset("+-")
_OPERANDS_FOLLOW_WORDS = """
    ( [ , = < > <= >= <> !< !> + - * / % & | ^ ~ || += -= *= /= %= :=
    and any between by case default else in is like limit not offset on or return returning select set some then top
    union using values when where
"""
_OPERANDS_FOLLOW = frozenset(_OPERANDS_FOLLOW_WORDS.split())
"""Behind them a sign belongs to the literal that comes."""


@dataclass(slots=True)
class _Bracket:
    """An open bracket: where it stands in the output, and whether only values have come behind it."""

    start: int
    only_values: bool = True


class ListFolder:
    """Reads atoms from left to right and keeps what is left of them in `out`.

    Args:
        parameter_sign: what a parameter or variable begins with.
        kept_name: told a parameter and what stands before it, whether it keeps its name; it becomes a mark else.
        folds_arrays: whether `array[...]` of values is one value, `= any (...)` of one is `= ?`, and so is `in (?)`.
    """

    def __init__(self, parameter_sign: str, kept_name: Callable[[str, str], bool], *, folds_arrays: bool) -> None:
        self.out: list[str] = []
        self._parameter_sign = parameter_sign
        self._kept_name = kept_name
        self._folds_arrays = folds_arrays
        # Whether these two begin a value is known at the end of their brackets.
        self._listed = _LISTED | {"array", "cast"} if folds_arrays else _LISTED
        self._open: list[_Bracket] = []
        self._last_row = (0, 0)

    def fold(self, atoms: Sequence[str]) -> list[str]:
        """The atoms without signs of literals, lists of values folded."""
        out, opened, parameter_sign = self.out, self._open, self._parameter_sign
        brackets_and_marks = _BRACKETS_AND_MARKS
        for atom in atoms:
            if atom in brackets_and_marks:
                if atom == MARK:
                    self._drop_signs()
                    out.append(atom)
                elif atom in _OPENING:
                    opened.append(_Bracket(len(out)))
                    out.append(atom)
                else:
                    self._close(atom)
            elif atom[0] == parameter_sign and not self._kept_name(atom, out[-1] if out else ""):
                out.append(MARK)
            else:
                if opened and atom not in self._listed and not (atom in _SIGNS and self._is_sign()):
                    opened[-1].only_values = False
                out.append(atom)
        return out

    def _is_sign(self) -> bool:
        """Whether a sign that comes here is that of a value; it goes with the literal, or makes that no value."""
        return not self.out or self.out[-1] in _OPERANDS_FOLLOW

    def _drop_signs(self) -> None:
        out = self.out
        while out and out[-1] in _SIGNS and (len(out) < 2 or out[-2] in _OPERANDS_FOLLOW):
            out.pop()

    def _close(self, bracket: str) -> None:
        out = self.out
        if not self._open:
            out.append(bracket)
            return
        opened = self._open.pop()
        start, before = opened.start, out[opened.start - 1] if opened.start else ""
        values = opened.only_values and len(out) > start + 1 and out[-1] not in _SIGNS
        if self._folds_arrays and self._is_value(start, before, values):
            self._drop_signs()
            return
        if values and before in _LISTS:
            out[start + 1 :] = [MARK]
        elif values and self._is_element(before):
            out[start:] = [MARK]
            return
        out.append(bracket)
        self._end_row(start, before, values)
        if self._open:
            self._open[-1].only_values = False

    def _is_element(self, before: str) -> bool:
        """A bracket of values in a list of such brackets, as in `(a, b) in ((1, 2), (3, 4))`."""
        if not self._open or before not in ("(", ","):
            return False
        start = self._open[-1].start
        return start > 0 and self.out[start - 1] in _LISTS

    def _end_row(self, start: int, before: str, values: bool) -> None:
        """Rows of VALUES that are the same but for their values are one row."""
        out = self.out
        begin, end = self._last_row
        if before == "values":
            self._last_row = (start, len(out))
        elif before == "," and end and end == start - 1:
            if values:
                out[start:] = ["(", MARK, ")"]
            if out[start:] == out[begin:end]:
                del out[end:]
            else:
                self._last_row = (start, len(out))

    def _is_value(self, start: int, before: str, values: bool) -> bool:
        """Fold `array[...]`, `cast(? as type)`, `= any (?)` and `in (?)` of PostgreSQL where that is one value."""
        out = self.out
        earlier = out[start - 2] if start > 1 else ""
        is_cast = before == "cast" and out[start + 1 : start + 3] == [MARK, "as"]
        is_array = values and before == "array" and out[start] == "["
        is_one_of = values and before in ("any", "some") and earlier == "="
        if is_cast or is_array or is_one_of:
            out[start - 1 :] = [MARK]
        elif values and before == "in" and earlier not in ("", "not"):
            out[start - 1 :] = ["=", MARK]
            if self._open:
                self._open[-1].only_values = False
        else:
            return False
        return True
