"""Instances that are slow as a whole, or hold many up, and databases that are slow while their instance is not."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.verdict.common.slow_groups import METRIC, SlowGroup, SlowGroups
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.model import InstanceVerdict
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.telling.evidence import instance_evidence
from dbplanmon_pipeline.core.verdict.telling.severity import severity_of


class SlowInstances:
    """Finds slow instances at any tick, and those in which many statements are held up at once.

    Args:
        comparison: recent rows against their normal.
        names: instance names by code.
        policy: thresholds.
    """

    def __init__(self, comparison: Comparison, names: Sequence[str], policy: DetectorPolicy) -> None:
        self._names, self._policy = names, policy
        nothing = np.zeros(len(comparison.rows.series))
        self._groups = SlowGroups(comparison, comparison.modes[METRIC], nothing, policy.common_mode_statements, policy)
        held = comparison.held_up.get(METRIC)
        self._held = SlowGroups(comparison, *held, policy.common_mode_few, policy) if held is not None else None

    def at(self, tick: int, as_of_us: int) -> tuple[InstanceVerdict, ...]:
        """Those slow at a tick, at most one verdict each; see `SlowGroups.at`."""
        found = {one.group: self._verdict(one, one.group) for one in self._groups.at(tick, as_of_us)}
        for one in self._held.at(tick, as_of_us) if self._held is not None else ():
            found.setdefault(one.group, self._verdict(one, one.group, " wait longer at once and"))
        return tuple(found.values())

    def _verdict(self, slow: SlowGroup, instance: int, which: str = "") -> InstanceVerdict:
        return _verdict(slow, DatabaseRef(self._names[instance], ""), which, self._policy)


class SlowDatabases:
    """Finds databases that are slow beyond their instance; none where no instance has several.

    Args:
        comparison: recent rows against their normal.
        refs: name of each database id.
        policy: thresholds.
    """

    def __init__(self, comparison: Comparison, refs: Mapping[int, DatabaseRef], policy: DetectorPolicy) -> None:
        self._policy = policy
        self._refs = [refs[number] for number in np.unique(comparison.rows.database_id).tolist()]
        mode = comparison.database_modes.get(METRIC)
        instance = comparison.modes[METRIC].at_rows()
        least = policy.common_mode_few
        self._groups = SlowGroups(comparison, mode, instance, least, policy) if mode is not None else None

    def at(self, tick: int, as_of_us: int, slow_instances: AbstractSet[str]) -> tuple[InstanceVerdict, ...]:
        """Those slow at a tick whose instances are not among the slow ones; see `SlowGroups.at`."""
        if self._groups is None:
            return ()
        found = [(self._refs[one.group], one) for one in self._groups.at(tick, as_of_us)]
        return tuple(
            _verdict(one, ref, f" of the database {ref.database}", self._policy)
            for ref, one in found
            if ref.instance not in slow_instances
        )


def _verdict(slow: SlowGroup, ref: DatabaseRef, which: str, policy: DetectorPolicy) -> InstanceVerdict:
    seconds = slow.extra_seconds_per_hour
    return InstanceVerdict(
        instance=ref.instance,
        severity=severity_of(slow.ratio, seconds, policy.material_seconds_per_hour),
        effect_ratio=slow.ratio,
        extra_seconds_per_hour=seconds,
        statements=slow.rose,
        began_at=slow.began_at,
        evidence=instance_evidence(slow.ratio, slow.rose, slow.spoke, slow.began_at, seconds, which),
        database=ref.database,
    )
