"""Values that several views of the simulated SQL Server show: numbers, handles, texts and plans."""

import hashlib
from datetime import datetime
from typing import Any

from dbplanmon_pipeline.providers.simulated.operators import DATABASE
from dbplanmon_pipeline.providers.simulated.plans import captured_plan
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.statements import sql_text, subject

Row = dict[str, Any]

FIRST_DATABASE_ID = 5


def plan_text(provider: SimulatedProvider, database: str, now: datetime, statement: int, plan: int) -> str | None:
    """Showplan of one database; None where the statement has not had that plan."""
    compiled = provider.history(database).compiled_us(statement, plan, now)
    return (
        captured_plan(statement, plan, *compiled).body.replace(f"[{DATABASE}]", f"[{database}]") if compiled else None
    )


def parameterised(statement: int) -> str:
    names = ", ".join(f"{name} bigint" for name in subject(statement).parameters)
    return f"({names}){sql_text(statement)}"


def database_id(provider: SimulatedProvider, database: str) -> int:
    names = provider.databases()
    return FIRST_DATABASE_ID + names.index(database) if database in names else 1


def handle_of(database: str, query: int, plan: int) -> bytes:
    digest = hashlib.blake2b(f"{database} {query} {plan}".encode(), digest_size=42).digest()
    return (b"\x06\x00" if plan else b"\x02\x00") + digest


def hash_bytes(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)
