"""A running state as arrays by name, to be kept in a file, and back."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.verdict.common.past_modes import Cells, PastModes
from dbplanmon_pipeline.core.verdict.failing.attempts import FailureCells
from dbplanmon_pipeline.core.verdict.rows.series import VIEWS
from dbplanmon_pipeline.core.verdict.running.step import RunningState
from dbplanmon_pipeline.core.verdict.running.sums import Bounds, RunningSums

FORM = "4"
"""Changes with the meaning of the arrays, or with what the state has to know."""

_PLAIN = ("ran_us", "judged_us", "plan", "since", "others", "astray")
_GROUPS = ("instances", "databases", "held_up")
_SUMS = ("rows", "sums", "bounded", "holds", "dear")
_CELLS = ("database_id", "end_us", "failed", "tried")
_BOUNDS = ("weight", "weighted", "extra", "span_us")


def to_arrays(state: RunningState) -> dict[str, "NDArray[Any]"]:
    """Everything, without copies where possible."""
    past, sums = state.past, state.sums
    refs = [[number, ref.instance, ref.database] for number, ref in past.refs.items()]
    found: dict[str, NDArray[Any]] = {
        "moment": np.array([state.as_of_us, int(state.several)], np.int64),
        "refs": np.array(json.dumps(refs)),
        "ends_us": past.ends_us,
        "tick": past.tick,
    }
    for name in _GROUPS:
        cells: Cells = getattr(past, name)
        found |= {f"{name}:{view}": values for view, values in cells.log_ratio.items()}
        found |= {f"{name}:supported": cells.supported, f"{name}:statements": cells.statements}
    found |= {name: getattr(state, name) for name in _PLAIN}
    found |= {f"sums:{name}": getattr(sums, name) for name in _SUMS}
    found |= {f"failures:{name}": getattr(state.failures, name) for name in _CELLS}
    return found | {f"bounds:{name}": getattr(sums.bounds, name) for name in _BOUNDS}


def from_arrays(arrays: Mapping[str, "NDArray[Any]"]) -> RunningState:
    """The state that `to_arrays` laid out.

    Raises:
        KeyError: an array is missing.
    """
    refs = {number: DatabaseRef(instance, database) for number, instance, database in json.loads(str(arrays["refs"]))}
    groups = [
        Cells(
            {view: arrays[f"{name}:{view}"] for view in VIEWS},
            arrays[f"{name}:supported"],
            arrays[f"{name}:statements"],
        )
        for name in _GROUPS
    ]
    moment, several = arrays["moment"].tolist()
    sums = {name: arrays[f"sums:{name}"] for name in _SUMS}
    bounds = Bounds(*(arrays[f"bounds:{name}"] for name in _BOUNDS))
    return RunningState(
        as_of_us=moment,
        past=PastModes(arrays["ends_us"], arrays["tick"], refs, *groups),
        several=bool(several),
        sums=RunningSums(bounds=bounds, **sums),
        failures=FailureCells(*(arrays[f"failures:{name}"] for name in _CELLS)),
        **{name: arrays[name] for name in _PLAIN},
    )
