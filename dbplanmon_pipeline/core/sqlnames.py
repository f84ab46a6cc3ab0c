"""Names and values written into suggested scripts, quoted so that they mean themselves and nothing else."""

from dbplanmon_pipeline.core.model import Engine


def quote_name(name: str, dialect: Engine) -> str:
    """One identifier, always quoted: `"orders"` on PostgreSQL, `[orders]` elsewhere.

    Raises:
        ValueError: the name is empty or holds a NUL character.
    """
    if not name or "\0" in name:
        raise ValueError("an identifier must not be empty or hold a NUL character")
    if dialect == Engine.POSTGRES:
        return '"' + name.replace('"', '""') + '"'
    return "[" + name.replace("]", "]]") + "]"


def quote_path(path: str, dialect: Engine) -> str:
    """`schema.table` or `table`; the first dot parts them, so the schema must not have one in its name."""
    schema, dot, table = path.partition(".")
    return ".".join(quote_name(part, dialect) for part in ((schema, table) if dot else (schema,)))


def quote_value(value: str) -> str:
    """A string constant; PostgreSQL reads backslashes in it only behind `E`.

    Raises:
        ValueError: the value holds a NUL character.
    """
    if "\0" in value:
        raise ValueError("a string constant must not hold a NUL character")
    text = "'" + value.replace("'", "''") + "'"
    return "E" + text.replace("\\", "\\\\") if "\\" in value else text
