"""The next pair of migration files."""

import re
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.migration import ROLLBACK

_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")

_APPLY = """\
-- {sentence}.
--
-- depends: {depends}

"""
_FIRST = """\
-- {sentence}.

"""
_ROLLBACK = """\
-- Undo {id}: the exact mirror, last things first.

"""


def write(folder: Path, name: str) -> list[Path]:
    """Write NNNN_NAME.sql and its rollback file, depending on the last migration there; the paths written.

    Both are empty but for their headers: rolling back is refused until the rollback file has a statement. Raises
    UsageError for a name that is no lower_case_words; never overwrites.
    """
    if not _NAME.match(name):
        wanted = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "add_grade"
        raise UsageError(f'"{name}" is no name for a migration: lower-case words with underscores, such as {wanted}')
    folder.mkdir(parents=True, exist_ok=True)
    existing = sorted(p.stem for p in folder.glob("*.sql") if not p.name.endswith(ROLLBACK))
    numbered = [stem for stem in existing if re.match(r"\d+", stem)]
    number = max((int(re.match(r"\d+", stem)[0]) for stem in numbered), default=0) + 1  # type: ignore[index]
    width = max([4, *(len(re.match(r"\d+", stem)[0]) for stem in numbered)])  # type: ignore[index]
    migration_id = f"{number:0{width}d}_{name}"
    sentence = name.replace("_", " ").capitalize()
    header = _APPLY.format(sentence=sentence, depends=existing[-1]) if existing else _FIRST.format(sentence=sentence)
    texts = {
        folder / f"{migration_id}.sql": header,
        folder / f"{migration_id}{ROLLBACK}": _ROLLBACK.format(id=migration_id),
    }
    for path, text in texts.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(texts)
