"""Texts that a regular expression of PostgreSQL matches (9.7.3 of its manual), without look-around and back references."""

from collections.abc import Iterator
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits, punctuation

_CLASSES = {
    "alpha": ascii_letters, "alnum": ascii_letters + digits, "digit": digits, "lower": ascii_lowercase,
    "upper": ascii_uppercase, "space": " ", "blank": " ", "xdigit": digits + "abcdef", "punct": punctuation,
    "word": ascii_letters + digits + "_", "print": ascii_letters, "graph": ascii_letters,
}  # fmt: skip
_ESCAPES = {"d": digits, "w": _CLASSES["word"], "s": " ", "D": "a", "W": "-", "S": "a", "t": "\t", "n": "\n", "r": "\r"}
_ANCHORS = frozenset("AmMyYZ")
_ANY = "aA0-_ .@"
_LONGEST = 1_000


def matching(pattern: str, n: int) -> str | None:
    """The n-th text that the expression matches, counted from 1; None for an expression that is not understood."""
    try:
        reader = _Reader(pattern, n)
        text = reader.choice()
    except (ValueError, IndexError):
        return None
    return text if reader.at == len(pattern) and len(text) <= _LONGEST else None


class _Reader:
    """Reads an expression from left to right, and writes a text as it goes."""

    def __init__(self, pattern: str, n: int) -> None:
        self.pattern = pattern
        self.n = n
        self.at = 0

    def choice(self) -> str:
        """One of the branches that | divides, up to a closing bracket or the end."""
        branches = [self._branch()]
        while self._next("|"):
            branches.append(self._branch())
        return branches[(self.n - 1) % len(branches)]

    def _branch(self) -> str:
        text = ""
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            atom = list(self._atom())
            least, most = self._count()
            times = min(max(least, 1), most)
            # The first place differs from text to text, the others from place to place.
            text += "".join(atom[(self.n - 1 + k) % len(atom)] for k in range(times)) if atom else ""
        return text

    def _atom(self) -> Iterator[str]:
        """What may stand at this place; nothing for an anchor."""
        first = self._take()
        if first == "(":
            if self._next("?") and not self._next(":"):
                raise ValueError(self.pattern)
            yield self.choice()
            if not self._next(")"):
                raise ValueError(self.pattern)
        elif first == "[":
            yield from self._bracket()
        elif first == "\\":
            escaped = self._take()
            if escaped not in _ANCHORS:
                yield from _ESCAPES.get(escaped, escaped)
        elif first == ".":
            yield from _ANY[:3]
        elif first not in "^$":
            yield first

    def _bracket(self) -> Iterator[str]:
        negated, members = self._next("^"), ""
        while not (members and self._next("]")):  # one that comes first is a member
            first = self._take()
            if first == "[" and self._next(":"):
                name, _, _ = self.pattern[self.at :].partition(":]")
                self.at += len(name) + 2
                members += _CLASSES[name] if name in _CLASSES else self._unknown()
            elif first == "\\":
                escaped = self._take()
                members += _ESCAPES.get(escaped, escaped)
            elif self.pattern[self.at : self.at + 1] == "-" and self.pattern[self.at + 1 : self.at + 2] not in (
                "]",
                "",
            ):
                self.at += 1
                members += "".join(map(chr, range(ord(first), min(ord(self._take()), ord(first) + 128) + 1)))
            else:
                members += first
        if not negated:
            yield from dict.fromkeys(members)
        else:
            yield from (each for each in _ANY + ascii_letters + digits if each not in members)

    def _count(self) -> tuple[int, int]:
        """How often the atom may stand there."""
        counts = (0, 1) if self._next("?") else (0, 9) if self._next("*") else (1, 9) if self._next("+") else (1, 1)
        if self._next("{"):
            bounds, _, _ = self.pattern[self.at :].partition("}")
            self.at += len(bounds) + 1
            least, comma, most = bounds.partition(",")
            counts = int(least), int(most or least) if most or not comma else int(least) + 9
        if counts != (1, 1):
            self._next("?")  # not greedy
        return counts

    def _take(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]

    def _next(self, sign: str) -> bool:
        """Whether that stands here; then it is read."""
        there = self.pattern[self.at : self.at + 1] == sign
        self.at += there
        return there

    def _unknown(self) -> str:
        raise ValueError(self.pattern)
