"""What a scratch database lacks though the target has it: roles, and what was made outside of the migrations."""

import psycopg

_MISSING = ("42704", "42883")  # undefined object, undefined function


def ways_out(error: BaseException | None) -> str:
    """What to do where the target has what that error misses; "" for any other error."""
    if not isinstance(error, psycopg.Error) or error.sqlstate not in _MISSING:
        return ""
    if 'configuration parameter "' in (error.diag.message_primary or ""):
        return (
            "if the target has that setting, from ALTER DATABASE or ALTER ROLE: read it with current_setting(NAME, true), "
            "which is NULL where it is not set"
        )
    if 'role "' in (error.diag.message_primary or ""):
        return "if the target has that role: name a server that has it, too, with --scratch URL, or create it in a migration"
    return (
        "if the target has it, it was made outside of the migrations: create it in a migration, an extension with "
        "CREATE EXTENSION IF NOT EXISTS"
    )
