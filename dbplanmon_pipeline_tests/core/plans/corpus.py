"""Real PostgreSQL plans that lie beside the checkout."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "pgplans"


def entries():
    """One pytest parameter per file of the corpus; one skipped parameter where it is absent."""
    manifest = FOLDER / "MANIFEST.jsonl"
    if not manifest.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="../shared/data/pgplans is not here"))]
    lines = manifest.read_text(encoding="utf-8").splitlines()
    return [pytest.param(entry, id=entry["file"]) for entry in map(json.loads, lines)]


def text_of(entry):
    return (FOLDER / entry["file"]).read_text(encoding="utf-8")
