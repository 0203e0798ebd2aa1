"""The BEGIN … COMMIT blocks of a file that runs outside a transaction: each is one transaction of its own."""

import re
from collections.abc import Sequence
from dataclasses import replace

from pgyoyo.sql.script import Script, Statement

# Without a mode there is nothing in it that our own BEGIN does not say.
_PLAIN = re.compile(rb"(?is)(?:begin|start\s+transaction)(?:\s+(?:work|transaction))?")


def folded(data: bytes, statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """The statements of the file, each block as one; as they are where a BEGIN lacks its COMMIT, or something else ends the
    transaction.
    """
    result: list[Statement] = []
    opening: Statement | None = None
    inner: list[Statement] = []
    for statement in statements:
        if statement.kind == "begin" and opening is None:
            opening, inner = statement, []
        elif statement.kind == "commit" and opening is not None:
            if inner:
                result.append(_block(data, opening, inner))
            opening = None
        elif statement.kind in ("begin", "commit", "rollback", "chain", "two-phase"):
            return tuple(statements)
        elif opening is not None:
            inner.append(statement)
        else:
            result.append(statement)
    return tuple(statements) if opening is not None else tuple(result)


def unfolded(script: Script) -> Script:
    """The script with the statements of its blocks in their place; each of these has all of its block as `block`."""
    if not any(statement.block for statement in script.statements):
        return script
    each = (replace(part, block=statement.block) for statement in script.statements for part in statement.parts)
    return replace(script, statements=tuple(each))


def _block(data: bytes, opening: Statement, inner: Sequence[Statement]) -> Statement:
    begin = data[opening.start : opening.end]
    name = f"BEGIN … COMMIT from {inner[0].name}"
    return Statement(
        inner[0].start, inner[-1].end, "block", name if len(name) <= 60 else name[:59] + "…", block=tuple(inner),
        begin="" if _PLAIN.fullmatch(begin) else begin.decode(errors="replace") + "\n",
    )  # fmt: skip
