"""Databases in groups that are read and judged together, so that memory stays bounded in a large fleet."""

from collections.abc import Iterable
from itertools import groupby

from dbplanmon_pipeline.core.model import DatabaseRef

Group = tuple[DatabaseRef, ...]


def whole_instances(refs: Iterable[DatabaseRef], most: int) -> list[Group]:
    """Groups of whole instances, of at most `most` databases where no single instance has more."""
    groups: list[Group] = []
    for instance in _instances(refs):
        if groups and len(groups[-1]) + len(instance) <= most:
            groups[-1] += instance
        else:
            groups.append(instance)
    return groups


def parts_of_instances(refs: Iterable[DatabaseRef], most: int) -> list[Group]:
    """Groups of at most `most` databases; a large instance is split, small ones share a group."""
    parts = [part for instance in _instances(refs) for part in _slices(instance, most)]
    groups: list[Group] = []
    for part in parts:
        if groups and len(groups[-1]) + len(part) <= most:
            groups[-1] += part
        else:
            groups.append(part)
    return groups


def _instances(refs: Iterable[DatabaseRef]) -> list[Group]:
    return [tuple(members) for _, members in groupby(sorted(refs), key=lambda ref: ref.instance)]


def _slices(instance: Group, most: int) -> list[Group]:
    return [instance[start : start + most] for start in range(0, len(instance), most)]
