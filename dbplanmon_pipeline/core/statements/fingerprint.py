"""Which statements are the same but for their values, whatever server, database and version they ran on."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from dbplanmon_pipeline.core.model import Engine, hash_text
from dbplanmon_pipeline.core.statements.atoms import rendered
from dbplanmon_pipeline.core.statements.postgres_form import postgres_form
from dbplanmon_pipeline.core.statements.tsql_form import tsql_form


class Dialect(StrEnum):
    """How a text is to be read."""

    TSQL = "tsql"
    POSTGRES = "postgres"

    @classmethod
    def of(cls, engine: str) -> "Dialect":
        """What the statements of an engine are written in."""
        return cls.POSTGRES if engine == Engine.POSTGRES else cls.TSQL


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Attributes: `value`, a signed 64-bit hash, never 0, of `text`, the normal form, which holds no literal."""

    value: int
    text: str

    def __str__(self) -> str:
        return hash_text(self.value)


def fingerprint(text: str, dialect: Dialect) -> Fingerprint:
    """The fingerprint of one statement; a text with its literals masked has that of the text with them.

    Folded are values and how many of them a list has, case, blanks, comments, and what an engine adds around a
    statement. docs/fingerprints.md has all rules and what they cannot tell apart.
    """
    atoms = tsql_form(text) if dialect == Dialect.TSQL else postgres_form(text)
    normal = rendered(atoms)
    digest = hashlib.blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return Fingerprint(int.from_bytes(digest, "big", signed=True) or 1, normal)
