"""An error of the server outside of a migration, for a person."""

import psycopg

from pgyoyo.engine import failures


def explain(error: psycopg.Error) -> str:
    """The server's own words, and what to do next; no password."""
    if error.sqlstate:
        what = f"the server refused a statement of pgyoyo's own:\n{failures.server_words(error)}"
    elif isinstance(error, psycopg.OperationalError):
        what = f"the connection was lost:\n{failures.loss_words(error)}"
    else:
        what = failures.loss_words(error)
    return f"{what}\n{_advice(error.sqlstate or '')}`pgyoyo status` shows what is applied."


def _advice(sqlstate: str) -> str:
    match sqlstate:
        case "57014":
            return (
                "It ran into a statement_timeout, or somebody cancelled it: raise the timeout of the role or the database "
                "(ALTER ROLE … SET statement_timeout = 0), then run again. "
            )
        case "55P03" | "40P01" | "40001":
            return "Another session was in the way; run again. "
        case "42501":
            return "Grant the privilege, or connect as another role, then run again. "
        case "25006":
            return "Connect to a server that accepts writes. "
        case _ if sqlstate[:2] in ("53", "57", "58", "08", "XX"):
            return "Look at the server's log, then run again. "
        case _:
            return ""
