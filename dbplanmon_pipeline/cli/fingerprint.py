"""`dbplanmon fingerprint`: which statements are the same but for their values."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from dbplanmon_pipeline.cli.invocation import json_option
from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FOUND = {dict: "an object", list: "a list", bool: "a truth value", int: "a number", float: "a number"}


@click.command("fingerprint")
@click.argument("source", metavar="[FILE]", default="-")
@click.option(
    "--dialect",
    type=click.Choice([one.value for one in Dialect]),
    required=True,
    help="How the statements are written.",
)
@json_option
def fingerprints(source: str, dialect: str, as_json: bool) -> None:
    """Fingerprint statements: one JSON string per line in, one JSON object per line out.

    The statements come from a file, or from standard input (-).
    """
    del as_json  # There is no other form.
    with _opened(source) as lines:
        for number, line in enumerate(lines, 1):
            found = fingerprint(_statement(line, f"{_name(source)}, line {number}"), Dialect(dialect))
            # Not `click.echo`, which flushes each line: there may be millions.
            sys.stdout.write(f"{json.dumps({'fingerprint': str(found), 'text': found.text})}\n")


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """Bytes, because only a line feed ends a line: a statement may hold other separators."""
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(source).open("rb") as lines:
            yield lines
    except OSError as error:
        raise click.ClickException(f"{source} cannot be read: {error.strerror or error}") from None


def _name(source: str) -> str:
    return "standard input" if source == "-" else source


def _statement(line: bytes, place: str) -> str:
    """The statement of a line; what is wrong with one is told without its content."""
    try:
        value = json.loads(line.removeprefix(_BYTE_ORDER_MARK).decode("utf-8"))
    except UnicodeDecodeError:
        raise click.ClickException(f"{place}: not UTF-8; encode the file as UTF-8") from None
    except (ValueError, RecursionError):
        raise click.ClickException(
            f'{place}: no JSON; write each statement as a JSON string, such as "select 1"'
        ) from None
    if not isinstance(value, str):
        found = _FOUND.get(type(value), "null")
        raise click.ClickException(f'{place}: {found} where a JSON string is expected, such as "select 1"')
    return value
