"""Encodings of clients and servers: Python's names for them, and which text a server can take."""

import codecs
import re
from functools import cache


@cache
def codec(encoding: str) -> str | None:
    """Python's name of one of PostgreSQL's encodings; None for SQL_ASCII, which is any, and for those Python doesn't have.

    The names are in the manual, section 23.3.1 (Supported Character Sets).
    """
    if encoding == "SQL_ASCII":
        return None
    name = re.sub(r"^WIN(?=\d)", "cp", encoding)
    for spelling in (name, name.replace("_", ""), re.sub(r"^KOI8(?=[RU])", "koi8-", name)):
        try:
            return codecs.lookup(spelling).name
        except LookupError:
            continue
    return None
