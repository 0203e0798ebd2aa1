"""Names as identifiers in SQL, always in quotes."""


def quoted(name: str) -> str:
    """The name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str | None, name: str) -> str:
    """The name of a table as an identifier in SQL, with its schema where there is one."""
    return ".".join(quoted(part) for part in (schema, name) if part)
