"""sqitch: deploy and revert scripts, in the order of sqitch.plan."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, text_of

FOLDERS = (".", "db", "sqitch", "sql")
# sqitchchanges(7): a name has no blanks and none of : @ # [ ]; a tag line begins with @.
_CHANGE = re.compile(r"\s*[+-]?\s*([^\s:@#\[\]\\%]+)\s*(?:\[([^\]]*)\])?\s.*")
_TAG = re.compile(r"\s*@(\S+)\s.*")
# psql's own settings, which change nothing for a runner that stops at every error.
_PSQL = re.compile(
    r"(?m)^\\(?:set[ \t]+(?:ON_ERROR_STOP|ON_ERROR_ROLLBACK|VERBOSITY|QUIET)\b|pset\b|timing\b|echo\b|qecho\b).*$"
)
_VARIABLE = re.compile(r"""(?<![:\w]):(?:"\w+"|'\w+'|[A-Za-z_]\w*)""")


@dataclass(slots=True)
class _Change:
    """A change of the plan; `tag` is the first one behind it where it is reworked later."""

    name: str
    requires: str
    tag: str = ""
    reworked: bool = False


def read(folder: Path) -> Project:
    """The changes of a plan, in its order; `folder` is the one with sqitch.plan. Raises UsageError for a missing script."""
    core = _core(folder)
    top = folder / core.get("top_dir", ".")
    plan = folder / core["plan_file"] if "plan_file" in core else top / "sqitch.plan"
    if not plan.is_file():
        raise UsageError(f"there is no {plan}; name the folder with sqitch.plan: pgyoyo import sqitch FOLDER")
    extension = core.get("extension", "sql")
    deploy = folder / core["deploy_dir"] if "deploy_dir" in core else top / "deploy"
    revert = folder / core["revert_dir"] if "revert_dir" in core else top / "revert"
    changes = _changes(text_of(plan))
    pragma = re.search(r"(?m)^%project=(\S+)", text_of(plan))
    project = f"{pragma[1]}:" if pragma else ""
    migrations, warnings = [], []
    for number, change in enumerate(changes, start=1):
        source = f"{change.name}@{change.tag}" if change.reworked else change.name
        script, undo = deploy / f"{source}.{extension}", revert / f"{source}.{extension}"
        if not script.is_file():
            raise UsageError(f"{plan}: the change {change.name} has no script {script}; restore it")
        back = _section(undo) if undo.is_file() else None
        migrations.append(
            Imported(f"{number:04d}_{change.name.replace('/', '_')}", project + source, _section(script), back)
        )
        warnings += [f"{script}: psql puts a value in place of {name}; write the value" for name in _variables(script)]
        foreign = [name for name in change.requires.split() if ":" in name.lstrip(":!")]
        warnings += [
            f"{change.name} requires {name} of another project, which has to be there before" for name in foreign
        ]
    if (top / "verify").is_dir() or "verify_dir" in core:
        warnings.append("the verify scripts were left out: pgyoyo verify compares the whole catalog")
    return Project("sqitch", tuple(migrations), warnings=tuple(warnings))


def _core(folder: Path) -> dict[str, str]:
    """The settings under [core] in sqitch.conf; an engine's own ones go before them."""
    path = folder / "sqitch.conf"
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in text_of(path).splitlines() if path.is_file() else ():
        if head := re.match(r"\s*\[(.+?)\]", line):
            section = head[1]
        elif pair := re.match(r"""\s*(\w+)\s*=\s*"?(.*?)"?\s*(?:[#;].*)?$""", line):
            sections.setdefault(section, {})[pair[1].lower()] = pair[2]
    return {**sections.get("core", {}), **sections.get('engine "pg"', {})}


def _changes(plan: str) -> list[_Change]:
    changes: list[_Change] = []
    for line in plan.splitlines():
        if not line.strip() or line.lstrip().startswith(("%", "#")):
            continue
        if tag := _TAG.match(f"{line} "):
            for change in changes:
                change.tag = change.tag or tag[1]
        elif match := _CHANGE.match(f"{line} "):
            for earlier in changes:
                earlier.reworked = earlier.reworked or earlier.name == match[1]
            changes.append(_Change(match[1], match[2] or ""))
        else:
            raise UsageError(f'sqitch.plan: "{line.strip()}" is neither a change nor a tag; correct the line')
    return changes


def _section(path: Path) -> Section:
    return Section(_PSQL.sub("", text_of(path)))


def _variables(path: Path) -> Iterator[str]:
    """The psql variables of a script, as far as its text shows: outside of literals, comments and casts."""
    code = re.sub(r"(?s)\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", " ", text_of(path))
    yield from dict.fromkeys(match[0] for match in _VARIABLE.finditer(code))
