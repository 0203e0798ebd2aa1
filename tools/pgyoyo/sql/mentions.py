"""Which words occur in a file, in any case: asked of every file, so it must be quick, and small in memory for a big one."""

from collections.abc import Sequence

_PIECE = 1 << 20


def mentioned(data: bytes, words: Sequence[bytes]) -> list[bytes]:
    """The words (lower case) that occur in the data, also as parts of longer ones."""
    if len(data) <= _PIECE:
        lowered = data.lower()
        return [word for word in words if word in lowered]
    overlap = max(map(len, words)) - 1
    left = list(words)
    for start in range(0, len(data), _PIECE):
        lowered = data[start : start + _PIECE + overlap].lower()
        left = [word for word in left if word not in lowered]
    return [word for word in words if word not in left]
