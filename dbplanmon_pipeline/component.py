"""A Dagster component: everything of this package in a folder of somebody's project, its attributes our settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model

from dbplanmon_pipeline.defs.location import build_definitions
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import Settings, load_settings, settings_from

__all__ = ["PlanMonitorComponent"]

PREFIX = "dbplanmon"
_OWN = ("key_prefix", "settings_file")


class _Own(BaseModel):
    """Attributes that are no settings."""

    model_config = ConfigDict(extra="forbid")

    key_prefix: str | list[str] = Field(
        default=PREFIX, description="Goes before asset keys and names of jobs, schedules and sensors."
    )
    settings_file: str | None = Field(
        default=None, description="Settings file, relative to the project, in place of the sections below."
    )


Attributes: type[BaseModel] = create_model(
    "PlanMonitorAttributes",
    __base__=_Own,
    **{
        name: (Any, Field(default=None, description=field.description)) for name, field in Settings.model_fields.items()
    },  # type: ignore[call-overload]  # the names come from the settings
)
"""What `dg` knows of the attributes: the sections by name. What is in them is checked when they are loaded."""


class _Scaffolder(dg.Scaffolder[Any]):
    """Makes a component that works at once: one simulated server, to be replaced."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the YAML or Python file."""
        server = {"name": "example", "engine": "simulated", "databases": 3}
        dg.scaffold_component(request, {"key_prefix": PREFIX, "environment": "development", "instances": [server]})


@dg.scaffold_with(_Scaffolder)
@dataclass(frozen=True)
class PlanMonitorComponent(dg.Component):
    """Watches databases for execution plans that got slower.

    Attributes are `key_prefix` and either `settings_file` or the sections of the settings themselves. Without
    `state_dir` and `store.url` the state lies in a folder named like the prefix.
    """

    settings: Settings
    key_prefix: str | tuple[str, ...] = PREFIX

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Attributes as YAML has them."""
        return Attributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "PlanMonitorComponent":
        """From the YAML file.

        Raises:
            SettingsError: one line per problem, all of them at once.
        """
        written = attributes.model_dump(exclude_unset=True) if attributes else {}
        values = context.resolution_context.resolve_value(written)
        prefix = values.get("key_prefix", PREFIX)
        key_prefix = prefix if isinstance(prefix, str) else tuple(prefix)
        return cls(_settings(values, key_prefix, context), key_prefix)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Everything this package gives to Dagster."""
        del context
        return build_definitions(self.settings, self.key_prefix)


def _settings(
    values: Mapping[str, Any], key_prefix: str | tuple[str, ...], context: dg.ComponentLoadContext
) -> Settings:
    sections = {name: value for name, value in values.items() if name not in _OWN}
    project = Path(context.project_root)
    if file := values.get("settings_file"):
        if sections:
            raise SettingsError(f"name settings_file or {', '.join(sections)}, not both")
        return load_settings(project / str(file))
    here = context.path / "defs.yaml"
    source = str(here.relative_to(project)) if here.is_relative_to(project) else here.name
    below = key_prefix if isinstance(key_prefix, str) else "/".join(key_prefix)
    return settings_from(sections, source=source, folder=project, below=below)
