"""What every part of the settings is: frozen, closed to unknown keys, silent about its input."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One mapping of the settings file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, arbitrary_types_allowed=False
    )


class Override(Section):
    """Keys of another section that an instance or a database may set for itself; None is inherited."""
