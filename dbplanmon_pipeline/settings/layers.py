"""Layers of settings laid over each other: file, overlay, environment variables."""

from collections.abc import Mapping
from typing import Any

from dbplanmon_pipeline.settings import environment
from dbplanmon_pipeline.settings.document import DocumentError, Node, Origin, Problem, parse_document


def laid_over(base: Node, top: Node) -> Node:
    """`top` over `base`: mappings merge key by key, anything else (lists too) replaces."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = dict(base.value)
    for key, node in top.value.items():
        merged[key] = laid_over(merged[key], node) if key in merged else node
    return Node(merged, base.origin)


def with_variables(root: Node, environ: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """The tree with every `DBPLANMON_<SECTION>__<KEY>` variable laid over it; an index reaches into a list."""
    problems: list[Problem] = []
    for name, text in environment.overrides(environ).items():
        origin = Origin(environment.SOURCE + name)
        path = environment.override_path(name)
        if not all(path):
            problems.append(Problem(origin, "has an empty part; expected DBPLANMON_<SECTION>__<KEY>"))
            continue
        try:
            root = _placed(root, path, Node(_variable_value(text), origin))
        except IndexError:
            problems.append(Problem(origin, "reaches into a list; expected the number of an existing item, from 0"))
    return root, problems


def node_of(value: Any, origin: Origin) -> Node:
    """Plain values as a tree; all of it was written at one place."""
    if isinstance(value, Mapping):
        return Node({str(key): node_of(item, origin) for key, item in value.items()}, origin)
    if isinstance(value, list | tuple):
        return Node([node_of(item, origin) for item in value], origin)
    return Node(value, origin)


def plain(node: Node) -> Any:
    """The values alone; keys without a value count as not written."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items() if child.value is not None}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def origin_at(root: Node, path: tuple[str | int, ...]) -> Origin:
    """Where the value at a path was written; of a missing one, what holds it."""
    node = root
    for part in path:
        child = _child(node, part)
        if child is None or (child.value is None and node.value is not None):
            break
        node = child
    return node.origin


def written_paths(node: Node, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Origin]:
    """Origin of each scalar in sections; what lies in lists counts as one value."""
    if not isinstance(node.value, dict):
        return {} if node.value is None else {path: node.origin}
    found: dict[tuple[str | int, ...], Origin] = {}
    for key, child in node.value.items():
        found |= written_paths(child, (*path, key))
    return found


def _child(node: Node, part: str | int) -> Node | None:
    if isinstance(node.value, dict):
        return node.value.get(part)
    if isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
        item: Node = node.value[part]
        return item
    return None


def _placed(node: Node, path: tuple[str, ...], leaf: Node) -> Node:
    if not path:
        return leaf
    head, rest = path[0], path[1:]
    if isinstance(node.value, list):
        if not head.isdecimal() or int(head) >= len(node.value):
            raise IndexError
        items = list(node.value)
        items[int(head)] = _placed(items[int(head)], rest, leaf)
        return Node(items, node.origin)
    fields = dict(node.value) if isinstance(node.value, dict) else {}
    empty = Node({}, leaf.origin)
    fields[head] = _placed(fields.get(head, empty), rest, leaf)
    return Node(fields, node.origin if isinstance(node.value, dict) else leaf.origin)


def _variable_value(text: str) -> Any:
    """A list or mapping in YAML's short form where the text is one, else the text itself."""
    if text[:1] in "[{":
        try:
            node, problems = parse_document(text, "")
        except DocumentError:
            return text
        if not problems and isinstance(node.value, dict | list):
            return node.value
    return text
