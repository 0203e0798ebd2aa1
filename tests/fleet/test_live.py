"""The live table: names and messages of members are text on it, nothing that rich or a terminal obeys."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pgyoyo.fleet.live import Progress
from pgyoyo.fleet.members import Member
from pgyoyo.fleet.visit import FAILED, Visit

HOSTILE = "[/b]\x1b[2J\u202e"


def test_nothing_of_a_member_is_markup_or_an_escape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "200", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    member = Member(HOSTILE, "", "", "d", None, "s", 0)
    pool = SimpleNamespace(at_work={0: member})
    fleet = SimpleNamespace(name=HOSTILE, groups=[SimpleNamespace(name=HOSTILE)])
    progress = Progress(cast("Any", SimpleNamespace(members=[member], pool=pool, fleet=fleet)))
    with progress.shown():
        progress.add(Visit(member, FAILED, 1.0))
        progress.print(f"failed {HOSTILE}\n    {HOSTILE}")
    shown = capsys.readouterr().out
    assert shown.count(r"[/b]\x1b[2J\u202e") >= 5
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
