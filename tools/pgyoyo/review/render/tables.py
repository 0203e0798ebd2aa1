"""The tables of the target in words: how large they are, what is wrong with them, and what runs on them."""

from pgyoyo.review.sheet import LiveTable, Spread
from pgyoyo.units import count_words, number, size_words, time_words


def short(name: str) -> str:
    """The name without the schema public."""
    return name.removeprefix("public.")


def live_size(live: LiveTable) -> str:
    """48 million rows, 6.2 GB; in a fleet: 1,204 members, largest 48 million rows, 6.2 GB."""
    size = _size_words(live.rows, live.size)
    return f"{number(live.fleet.members, 'member')}, largest {size}" if live.fleet else size


def _size_words(rows: int | None, size: int | None) -> str:
    words = (
        None if rows is None else f"{count_words(rows)} {'row' if rows == 1 else 'rows'}",
        None if size is None else size_words(size),
    )
    return ", ".join(filter(None, words)) or "size not known"


def spread_words(spread: Spread) -> list[str]:
    """Where the largest is, the median and the sum over the members of a fleet."""
    words = [f"the largest in {spread.largest}"] if spread.largest else []
    if spread.members > 1:
        words += [
            f"median {_size_words(spread.median_rows, spread.median_size)}",
            f"all together {_size_words(spread.total_rows, spread.total_size)}",
        ]
    return words


def live_words(name: str, live: LiveTable) -> str:
    """The size of a table of the target and of its indexes, what is wrong with it, and what runs on it."""
    of = f" of {size_words(live.index_size)}" if live.index_size else ""
    words = f"{short(name)}: {live_size(live)}, {number(live.indexes, 'index')}{of}"
    return "; ".join([words, *ages(live)])


def ages(live: LiveTable) -> list[str]:
    """How it is spread over a fleet, what is wrong with a table, the VACUUM on it, and the oldest transaction and the longest
    query that lock it.
    """
    each = (("oldest transaction on it", live.oldest_transaction), ("longest query on it", live.longest_query))
    running = [live.running] if live.running else []
    spread = spread_words(live.fleet) if live.fleet else []
    return [
        *spread,
        *live.remarks,
        *running,
        *(f"{what} {time_words(age * 1000)}" for what, age in each if age is not None),
    ]
