"""From files and variables to settings: find, read, lay over each other, check, or say everything that is wrong."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import environment
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.checks import path_text, settings_problems
from dbplanmon_pipeline.settings.complaints import problem_at, problem_of
from dbplanmon_pipeline.settings.document import DocumentError, Node, Origin, Problem, read_document
from dbplanmon_pipeline.settings.dormant import is_dormant
from dbplanmon_pipeline.settings.layers import laid_over, node_of, origin_at, plain, with_variables, written_paths
from dbplanmon_pipeline.settings.model import Settings
from dbplanmon_pipeline.settings.schema import leaf_paths
from dbplanmon_pipeline.settings.secret import FORMS, SecretReference
from dbplanmon_pipeline.settings.sections import Environment
from dbplanmon_pipeline.settings.suggest import did_you_mean

FILE_NAME = "dbplanmon.yaml"
STATE_FOLDER = ".dbplanmon"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which files are read: `base` may be absent only where nobody named it."""

    base: Path
    named: bool
    cwd: Path

    @property
    def folder(self) -> Path:
        return self.base.parent

    def overlay(self, name: str) -> Path:
        return self.base.with_name(f"{self.base.stem}.{name}{self.base.suffix}")

    def layers(self, name: str) -> list[Path]:
        """The files to read, the later one over the earlier."""
        base = [self.base] if self.named or self.base.exists() else []
        overlay = [self.overlay(name)] if name and self.overlay(name).exists() else []
        return base + overlay

    def shown(self, path: Path) -> str:
        return str(path.relative_to(self.cwd)) if path.is_relative_to(self.cwd) else str(path)


def load_settings(
    path: Path | None = None, *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Settings:
    """Read the settings: one file, its overlay for DBPLANMON_ENVIRONMENT, and variables over both.

    Args:
        path: the file; else DBPLANMON_CONFIG; else dbplanmon.yaml in `cwd`, where it may be missing.
        environ: variables to use instead of those of this process.
        cwd: folder to use instead of the working directory.

    Raises:
        SettingsError: one line per problem, all of them at once.
    """
    variables = environment.variables(environ)
    place = _place(path, variables, (cwd or Path.cwd()).absolute())
    name, problems = _overlay_name(variables)
    root, more = _read_layers(place, name)
    problems += more
    root, more = with_variables(root, variables)
    problems += more
    if name:
        root = laid_over(root, _environment_node(name))
    settings, more = _validated(root, place.folder, variables)
    problems += more
    if settings is None or problems:
        _fail(problems, place)
    _warn(settings, root, variables)
    return settings


def settings_from(
    data: Mapping[str, Any], *, source: str, folder: Path, below: str = "", environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings that are part of a document of somebody else; variables lie over them as over a file.

    Args:
        data: sections as they would stand in the file.
        source: name of that document, for complaints.
        folder: paths are relative to it.
        below: folder of its own in the state folder, unless that is named; two sets of settings never share a store.
        environ: variables to use instead of those of this process.

    Raises:
        SettingsError: one line per problem, all of them at once.
    """
    variables = environment.variables(environ)
    place = _Place(folder / source, True, folder)
    root, problems = with_variables(node_of(data, Origin(source)), variables)
    settings, more = _validated(root, folder, variables)
    if settings is None or problems or more:
        _fail([*problems, *more], place)
    _warn(settings, root, variables)
    if below and "state_dir" not in plain(root) and not variables.get(environment.STATE):
        return settings.model_copy(update={"state_dir": settings.state_dir / below})
    return settings


def _place(path: Path | None, variables: Mapping[str, str], cwd: Path) -> _Place:
    named = path or (Path(variables[environment.CONFIG]) if variables.get(environment.CONFIG) else None)
    if named is not None:
        return _Place(cwd / named.expanduser(), True, cwd)
    base = cwd / FILE_NAME
    stray = base.with_suffix(".yml")
    if stray.exists() and not base.exists():
        raise SettingsError(f"{stray.name}: is not read under this name; rename it to {FILE_NAME}")
    return _Place(base, False, cwd)


def _overlay_name(variables: Mapping[str, str]) -> tuple[str, list[Problem]]:
    name = variables.get(environment.ENVIRONMENT, "")
    if not name or name in list(Environment):
        return name, []
    origin = Origin(environment.SOURCE + environment.ENVIRONMENT)
    return "", [Problem(origin, f"expected one of {', '.join(Environment)}{did_you_mean(name, Environment)}")]


def _read_layers(place: _Place, overlay_name: str) -> tuple[Node, list[Problem]]:
    """The file and its overlay as one tree; a file that cannot be used ends the loading."""
    root = Node({}, Origin(place.shown(place.base)))
    problems: list[Problem] = []
    broken: list[Problem] = []
    for path in place.layers(overlay_name):
        try:
            node, more = read_document(path, place.shown(path))
        except DocumentError as error:
            broken.append(error.problem)
            continue
        root = laid_over(root, node)
        problems += more
    if broken:
        _fail([*broken, *problems], place)
    return root, problems


def _environment_node(name: str) -> Node:
    origin = Origin(environment.SOURCE + environment.ENVIRONMENT)
    return Node({"environment": Node(name, origin)}, origin)


def _validated(root: Node, folder: Path, variables: Mapping[str, str]) -> tuple[Settings | None, list[Problem]]:
    data = plain(root)
    context = {
        "folder": folder,
        "environment": str(data.get("environment", Environment.PRODUCTION)),
        "checked": True,
        "sources": {path_text(path): str(origin) for path, origin in written_paths(root).items()},
    }
    problems = [problem_at(root, path, text) for path, text in settings_problems(data)]
    try:
        settings = Settings.model_validate(_with_state_folder(data, folder, variables), context=context)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    else:
        return settings, problems
    return None, problems + [problem_of(error, Settings, root, data) for error in errors]


def _with_state_folder(data: dict[str, Any], folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    written = data.get("state_dir")
    if state := variables.get(environment.STATE):
        return {**data, "state_dir": folder / Path(state).expanduser()}
    if written is None:
        home = variables.get(environment.DAGSTER_HOME)
        return {**data, "state_dir": (folder / Path(home).expanduser() if home else folder) / STATE_FOLDER}
    return {**data, "state_dir": folder / Path(written).expanduser()} if isinstance(written, str) else data


def _fail(problems: list[Problem], place: _Place) -> NoReturn:
    """Tell all problems in the order of the layers, within a file in the order of its lines."""
    base = place.shown(place.base)

    def position(problem: Problem) -> tuple[bool, bool, int]:
        in_file = not problem.origin.source.startswith(environment.SOURCE)
        return (not in_file, problem.origin.source != base, problem.origin.line or 0)

    raise SettingsError("\n".join(dict.fromkeys(map(str, sorted(problems, key=position)))))


def _warn(settings: Settings, root: Node, variables: Mapping[str, str]) -> None:
    for path in _plain_secrets(settings, ()):
        where, key = origin_at(root, path), path_text(path)
        _log.warning("%s: %s holds a plain secret; move it out and write %s", where, key, FORMS)
    for path, origin in written_paths(root).items():
        if is_dormant(path):
            _log.warning("%s: %s is kept, but not in effect in this version", origin, path_text(path))
    meant = {
        name.replace("__", "_"): name for name in map(environment.override_name, leaf_paths(Settings)) if "__" in name
    }
    for name in sorted(set(variables) & set(meant) - environment.NO_SETTINGS):
        _log.warning("%s%s is not read; did you mean %s?", environment.SOURCE, name, meant[name])


def _plain_secrets(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, SecretReference):
        if value.is_plain:
            yield path
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _plain_secrets(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _plain_secrets(item, (*path, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], Section):
        for index, item in enumerate(value):
            yield from _plain_secrets(item, (*path, index))
