from datetime import datetime, timedelta, timezone

import pytest

from dbplanmon_pipeline.core.plain_words import (
    cost_words,
    duration_words,
    hash_words,
    lines_of,
    moment_words,
    one_line,
    ratio_words,
    seconds_words,
    visible,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (45.4, "45 s"),
        (125, "2 min 5 s"),
        (600, "10 min"),
        (3_600, "1 h"),
        (7_499, "2 h 5 min"),
        (86_399, "1 d"),
        (3 * 86_400 + 4 * 3_600 + 59, "3 d 4 h"),
        (float("nan"), "unknown"),
    ],
)
def test_durations_read_like_speech(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (0.5, "0.5 µs"),
        (850, "850 µs"),
        (999.6, "1 ms"),
        (3_200, "3.2 ms"),
        (98_123, "98.1 ms"),
        (999_600, "1 s"),
        (1_450_000, "1.45 s"),
        (125_000_000, "2 min 5 s"),
        (float("inf"), "unknown"),
    ],
)
def test_costs_carry_three_digits_and_a_unit(microseconds, words):
    assert cost_words(microseconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0.4 s"), (140.2, "140 s"), (12_345, "12,300 s"), (-5.25, "-5.25 s"), (float("nan"), "unknown")],
)
def test_amounts_of_work(seconds, words):
    assert seconds_words(seconds) == words


@pytest.mark.parametrize(("ratio", "words"), [(1.5, "1.5x"), (8.24, "8.2x"), (140.4, "140x")])
def test_ratios(ratio, words):
    assert ratio_words(ratio) == words


def test_moments_are_told_in_utc():
    there = datetime(2026, 11, 22, 15, 5, tzinfo=timezone(timedelta(hours=1)))
    assert moment_words(there) == "2026-11-22 14:05 UTC"


def test_hashes_are_sixteen_digits_or_unknown():
    assert (hash_words(-1), hash_words(0)) == ("f" * 16, "unknown")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nb\tc\u2028d", "a b c d"),
        ("a\x1b[31mred\x00", "a[31mred"),
        ("abc\u202edcba\u2066x\u200f", "abcdcbax"),
        ("\ud800lone", "lone"),
        ("größe 表", "größe 表"),
    ],
    ids=["breaks", "escapes", "bidi", "surrogate", "letters stay"],
)
def test_hostile_text_becomes_one_harmless_line(text, line):
    assert one_line(text) == line


def test_a_long_line_is_cut_with_a_mark():
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


def test_scripts_keep_their_lines_and_blanks():
    assert lines_of("\n\nBEGIN\n  x  'a  b'\u202e;\r\nEND\n\n") == ["BEGIN", "  x  'a  b';", "END"]


def test_a_comment_of_a_script_never_becomes_a_command():
    assert lines_of("-- note\u2028DROP TABLE t\x0bx") == ["-- note DROP TABLE t x"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT 'é', '漢', '🦜'\n\tFROM t\r\n", "SELECT 'é', '漢', '🦜'\n\tFROM t\r\n"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\x00\x1b[31m", "a⟨U+0000⟩⟨U+001B⟩[31m"),
        ("\ufeff\ud800\U000e0041", "⟨U+FEFF⟩⟨U+D800⟩⟨U+E0041⟩"),
    ],
)
def test_what_nobody_sees_is_shown_by_number(text, shown):
    assert visible(text) == shown
