"""One step of the way: the texts of a migration and of its rollback, as `pgyoyo new` would begin them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pgyoyo.text import printable_line

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """A migration and its rollback: a title and the reason for each, directives, and SQL statements without semicolons."""

    verb: str
    title: str
    why: str
    statements: Sequence[str]
    back: Sequence[str]
    directives: Sequence[str] = ()
    back_title: str = ""
    back_directives: Sequence[str] = field(default=())

    def text(self, depends: str) -> str:
        """The migration's file."""
        return _file(
            self.title, self.why, [f"depends: {depends}"] * bool(depends) + list(self.directives), self.statements
        )

    def rollback(self) -> str:
        """The rollback file."""
        return _file(self.back_title, "", self.back_directives, self.back)


def _file(title: str, why: str, directives: Sequence[str], statements: Iterable[str]) -> str:
    lines = [f"-- {printable_line(title)}"]
    if why:
        lines += ["--", *(f"-- {line}" for line in why.splitlines())]
    if directives:
        lines += ["--", *(f"-- {directive}" for directive in directives)]
    return "\n".join(lines) + "\n\n" + "\n\n".join(f"{_broken(statement)};" for statement in statements) + "\n"


def _broken(statement: str) -> str:
    """A long ALTER TABLE or CREATE INDEX on two or more lines."""
    if len(statement) <= _WIDTH or "\n" in statement:
        return statement
    for words in (
        " ADD CONSTRAINT ",
        " CHECK (",
        " FOREIGN KEY ",
        " REFERENCES ",
        " ADD GENERATED ",
        " (SEQUENCE ",
        " USING ",
    ):
        statement = statement.replace(words, f"\n   {words}", 1)
    return statement
