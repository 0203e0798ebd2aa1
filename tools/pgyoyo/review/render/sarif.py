"""A review as SARIF 2.1.0, for code scanning: OASIS, Static Analysis Results Interchange Format, errata 01."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pgyoyo
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Finding, Review, Sheet

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


_TABLE_IN_SQL = re.compile(r"\b(TABLE|ON|UPDATE|CONCURRENTLY|LIKE) \{table\}")


def render(review: Review) -> str:
    """One run with a result for each finding; those that a comment allows carry its reason as a suppression.

    A result keeps its fingerprint when lines above it come or go, and when the text of the finding changes.
    """
    rules = {one.rule: one for one in sorted(review.findings, key=lambda one: one.rule)}
    places = {rule: i for i, rule in enumerate(rules)}
    driver = {
        "name": "pgyoyo", "semanticVersion": pgyoyo.__version__, "rules": [_rule(one) for one in rules.values()],
    }  # fmt: skip
    results = [result for sheet in review.sheets for result in _results(sheet, places)]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(one: Finding) -> dict[str, Any]:
    """The rule of a finding; squawk's own are known by what it said."""
    own = rulebook().get(one.rule)
    if own is None:
        text = "\n".join(word for word in (one.hurts, one.safer) if word) or one.happens
        rule = {"id": one.rule, "shortDescription": {"text": one.rule.replace(":", ": ").replace("-", " ")}}
    else:
        text = "\n".join((own.hurts.strip(), own.safer.strip()))
        text = _TABLE_IN_SQL.sub(r"\1 …", text).replace("{table}", "the table")
        rule = {"id": one.rule, "shortDescription": {"text": own.title}}
    rule |= {"help": {"text": text}, "defaultConfiguration": {"level": own.severity if own else one.severity}}
    return rule | ({"helpUri": one.url} if one.url.startswith(("https://", "http://")) else {})


def _results(sheet: Sheet, places: dict[str, int]) -> list[dict[str, Any]]:
    sql = {one.number: one.sql for one in sheet.statements}
    seen: Counter[str] = Counter()
    results = []
    for one in sheet.findings:
        # The words of the statement, however they are set; the same statement twice is told apart by its turn.
        told = "\0".join((one.rule, sheet.id, one.path.name, " ".join(sql.get(one.statement or 0, "").split())))
        seen[told] += 1
        mark = hashlib.sha256(f"{told}\0{seen[told]}".encode(errors="backslashreplace")).hexdigest()
        result: dict[str, Any] = {
            "ruleId": one.rule,
            "ruleIndex": places[one.rule],
            "level": one.severity,
            "message": {"text": "\n".join(word for word in (one.happens, one.hurts, one.safer) if word)},
            "locations": [{"physicalLocation": _place(one)}],
            "partialFingerprints": {"pgyoyoStatement/v1": mark},
            "properties": {"migration": sheet.id, "source": one.source},
        }
        if one.allowed:
            result["suppressions"] = [{"kind": "inSource", "justification": one.allowed}]
        results.append(result)
    return results


def _place(one: Finding) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(one.path)}, "region": {"startLine": max(one.line, 1)}}


def _uri(path: Path) -> str:
    # A relative path whose first part holds a colon would read as a scheme; quote() escapes it.
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
