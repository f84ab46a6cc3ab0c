"""Real statements, read where they lie; never copied."""

import json
from pathlib import Path
from typing import Any

from dbplanmon_pipeline_tests.support.requirements import absent

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "sql"


def records(name: str) -> list[dict[str, Any]]:
    """Records of one file of the corpus; skips the test where it is not there."""
    path = FOLDER / name
    if not path.exists():
        absent("corpus", "../shared/data/sql is not here")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
