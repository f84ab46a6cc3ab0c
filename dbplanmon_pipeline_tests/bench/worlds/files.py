"""A world as files: the record in the columns of the archive, the truth beside it."""

import json
from pathlib import Path

import pandas as pd

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline_tests.bench.worlds.catalog import World
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY

_TIMES = ("interval_start", "interval_end")
_HASHES = ("query_hash", "plan_hash")


def write_labelled(world: World, folder: Path) -> None:
    """Write `interval_metrics.parquet`, which `dbplanmon backtest` reads, `labels.parquet`, `queries.parquet` and
    `meta.json`, which hold the answers."""
    folder.mkdir(parents=True, exist_ok=True)
    _archived(world).to_parquet(folder / "interval_metrics.parquet", index=False)
    world.labels.to_parquet(folder / "labels.parquet", index=False)
    told = [(one.number, one.instance, one.database, one.family) for one in world.statements]
    queries = pd.DataFrame(told, columns=["query_id", "instance_id", "database_id", "family"])
    queries.to_parquet(folder / "queries.parquet", index=False)
    meta = {"world": world.name, "days": world.ticks // DAY, "rows": len(world.frame.rows)}
    (folder / "meta.json").write_text(json.dumps(meta), "utf-8")


def _archived(world: World) -> pd.DataFrame:
    rows, refs = world.frame.rows, world.frame.databases
    columns = {name: pd.to_datetime(rows[f"{name}_us"], unit="us", utc=True) for name in _TIMES}
    columns |= {
        part: rows["database_id"].map({n: getattr(ref, part) for n, ref in refs.items()})
        for part in ("instance", "database")
    }
    columns |= {name: rows[name].map({one: hash_text(one) for one in rows[name].unique().tolist()}) for name in _HASHES}
    columns |= {name: rows[name] for name in rows.columns if name not in (*world.frame.rows.columns[:5],)}
    return pd.DataFrame(columns)
