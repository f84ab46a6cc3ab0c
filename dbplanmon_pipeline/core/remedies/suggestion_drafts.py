"""What a way back is before it belongs to an incident."""

from dataclasses import dataclass
from enum import StrEnum


class SuggestionKind(StrEnum):
    """What a suggestion does, the surest way back first."""

    RECREATE_INDEX = "recreate_index"
    FORCE_PLAN = "force_plan"
    RESTORE_SETTING = "restore_setting"
    REFRESH_STATISTICS = "refresh_statistics"
    CREATE_INDEX = "create_index"
    REVIEW_PLANS = "review_plans"


@dataclass(frozen=True, slots=True)
class Draft:
    """Attributes: `risk` is `low`, `medium` or `high`; `rationale` says why, what it costs and what to check first.

    script / undo_script: SQL to run by hand; empty where there is nothing to run or no way to undo it.
    """

    kind: SuggestionKind
    risk: str
    rationale: str
    script: str = ""
    undo_script: str = ""
