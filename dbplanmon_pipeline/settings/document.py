"""One settings file as a tree that remembers the line of every value.

Scalars follow YAML 1.2, so `02:00`, `no` and `0123` stay text. Anchors, aliases and `<<` work; tags do not. No message
holds a piece of the file other than a key, since any piece may be a secret.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dbplanmon_pipeline.settings.checks import path_text

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 40
_MOST_NODES = 2_000_000
_LARGEST_BYTES = 32 * 1024 * 1024
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(?:0|[1-9][0-9]*)(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_FOREIGN_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a file and line (from 1), or a variable and no line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a dict of nodes, a list of nodes or a scalar; `size` counts the nodes in it."""

    value: Any
    origin: Origin
    size: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as one line."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


class DocumentError(Exception):
    """A file of which nothing can be used."""

    def __init__(self, origin: Origin, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(origin, text)


def read_document(path: Path, source: str) -> tuple[Node, list[Problem]]:
    """Read a file, called `source` in messages; repeated keys and tags are listed, the first value stays.

    Raises:
        DocumentError: nothing of it can be used.
    """
    node, problems = parse_document(_read_text(path, source), source)
    if node.value is None:
        raise DocumentError(Origin(source), "is empty; `dbplanmon init` writes an example")
    if not isinstance(node.value, dict):
        raise DocumentError(
            node.origin, "expected a mapping of sections at the top, such as `environment: development`"
        )
    return node, problems


def parse_document(text: str, source: str) -> tuple[Node, list[Problem]]:
    """Read YAML text.

    Raises:
        DocumentError: a syntax error, or more than one document.
    """
    composer = _Composer(text, source)
    try:
        return composer.document(), composer.problems
    except yaml.MarkedYAMLError as error:
        raise DocumentError(*_syntax_problem(error, text, source)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(Origin(source, line), "holds a control character; remove it") from None


def _read_text(path: Path, source: str) -> str:
    origin = Origin(source)
    if path.is_dir():
        raise DocumentError(origin, "is a folder; name the settings file in it")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DocumentError(origin, "does not exist; `dbplanmon init` writes an example") from None
    except OSError as error:
        raise DocumentError(origin, f"cannot be read ({error.strerror or type(error).__name__})") from None
    if content.startswith(b"\xef\xbb\xbf"):
        raise DocumentError(Origin(source, 1), "begins with a byte order mark; save it as UTF-8 without one")
    if any(mark in content[:4] for mark in _FOREIGN_MARKS):
        raise DocumentError(Origin(source, 1), "is not UTF-8 (it looks like UTF-16 or UTF-32); save it as UTF-8")
    if len(content) > _LARGEST_BYTES:
        raise DocumentError(origin, "is larger than 32 MiB; a settings file cannot be that large")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(Origin(source, line), "is not UTF-8; save it as UTF-8") from None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, source: str) -> tuple[Origin, str]:
    mark = error.problem_mark or error.context_mark
    line = (mark.line if mark else 0) + 1
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    if here.startswith("\t") or here[: len(here) - len(here.lstrip())].count("\t"):
        return Origin(source, line), "a tab indents this line; YAML takes spaces only"
    what = re.sub(r"'[^']{2,}'|\"[^\"]{2,}\"", "a name", error.problem or "cannot be read")
    opened = error.context_mark
    since = f" (in what begins in line {opened.line + 1})" if opened and opened.line + 1 != line else ""
    return Origin(source, line), f"is no YAML: {what}{since}; quote texts that hold special characters"


class _Composer:
    """Turns the events of the parser into nodes; bounded in depth and size, whatever the file holds."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(None, Origin(self.source))
        node = self._node(next(self._events), 0)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise DocumentError(self._origin(event), "begins a second document; one file holds one")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        self._check_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(_scalar(event), self._origin(event))
        elif depth >= _DEEPEST:
            raise DocumentError(self._origin(event), f"is nested more than {_DEEPEST} levels deep")
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if node.size > _MOST_NODES:
            raise DocumentError(node.origin, "grows beyond all bounds through its aliases")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise DocumentError(
                self._origin(event), "an alias (*) names no anchor before it; quote texts that begin with *"
            )
        return replace(self._anchors[event.anchor], origin=self._origin(event))

    def _sequence(self, start: Any, depth: int) -> Node:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Node(items, self._origin(start), 1 + sum(item.size for item in items))

    def _mapping(self, start: Any, depth: int) -> Node:
        found: dict[str, Node] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, origin = self._key(event), self._origin(event)
            value = replace(self._node(next(self._events), depth + 1), origin=origin)
            if key == "<<" and not event.style:
                merged.extend(self._merge_sources(value))
            elif key in found:
                first = found[key].origin.line
                self.problems.append(
                    Problem(origin, f"{path_text((key,))}: repeats the key of line {first}; remove one")
                )
            else:
                found[key] = value
        for source in merged:
            found = {**source.value, **found}
        return Node(found, self._origin(start), 1 + sum(value.size for value in found.values()))

    def _merge_sources(self, node: Node) -> list[Node]:
        sources = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(source.value, dict) for source in sources):
            raise DocumentError(node.origin, "<< takes mappings only")
        return sources

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise DocumentError(self._origin(event), "a key is a mapping, a list or an alias; expected text")
        return str(event.value)

    def _check_tag(self, event: Any) -> None:
        tag = event.tag
        if tag is None or tag in _TEXT_TAGS or tag in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            return
        self.problems.append(
            Problem(self._origin(event), "a tag (!) has no meaning here; remove it, or quote a text that begins with !")
        )

    def _origin(self, event: Any) -> Origin:
        return Origin(self.source, event.start_mark.line + 1)


def _scalar(event: Any) -> Any:
    """The value of a scalar: quoted and block texts as they are, plain ones by the YAML 1.2 core rules."""
    text: str = event.value
    if event.style or event.tag in _TEXT_TAGS:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
