"""Slips of an editor or of git are named where PostgreSQL stopped, and nowhere else."""

import pytest

from pgyoyo.sql.slips import hint

SLIPS = {
    "<<<<<<< HEAD": "merge conflict", "=======": "merge conflict", "||||||| 1a2b": "merge conflict",
    ">>>>>>> branch": "merge conflict",
    "CREATE\u00a0TABLE t ();": "U+00A0, which looks like a space",
    "SELECT 1,^x\u30001;": "U+3000, which looks like a space",
    "SELECT ^\u2018a\u2019;": "\u2018 (U+2018) is a letter to PostgreSQL; write '",
    "SELECT ^\u201ca\u201d;": '(U+201C) is a letter to PostgreSQL; write "',
    "SELECT 1; ^\u2014 one": "(U+2014) is a letter to PostgreSQL; write - or --",
    "DROP TABLE ^{{ .Schema }}.t;": "{{ is a template's", "SELECT ^${name};": "${ is a template's", "^<%= x %>": "<% is a",
    "{% if x %}": "{% is a template's", "SELECT '{1}' ^{1};": "",
    "SELECT 1 <<<<<<< 2;": "", "SELECT ^'\u2018' x;": "", 'SELECT ^"\u00a0";': "", "SELECT ^$\u2018$ $": "",
    "SELECT ^größe, '\u2018';": "", "SELECT 1;^": "", "": "",
}  # fmt: skip


@pytest.mark.parametrize("line", SLIPS)
def test_slip_is_named_where_the_server_stopped(line: str) -> None:
    words = hint(line.replace("^", ""), line.find("^") + 1 or 1)
    assert (SLIPS[line] in words, bool(words)) == (True, bool(SLIPS[line]))
