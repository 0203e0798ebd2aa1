"""Reading SQL text as psql and PostgreSQL do.

PostgreSQL's parser takes 0.1 s to load, which few runs need: modules that may need it import `sql`, and use `sql.parser`.
"""

from typing import TYPE_CHECKING

from pgyoyo.gate import gate

if TYPE_CHECKING:
    from pgyoyo.sql import batched, batched_file, lexical, parser, psql_scanner, slips, tree

__all__ = ["batched", "batched_file", "lexical", "parser", "psql_scanner", "slips", "tree"]
__getattr__ = gate(__name__, *__all__)
