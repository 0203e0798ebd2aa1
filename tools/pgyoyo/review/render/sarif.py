"""The review as SARIF 2.1.0, for code scanning: OASIS, Static Analysis Results Interchange Format, errata 01."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pgyoyo
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import NOTE, PAPERWORK, Finding, Review, Sheet
from pgyoyo.text import printable

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(review: Review) -> str:
    """One run with a result for each finding; a suppressed one carries its reason.

    A result keeps its fingerprint when lines are added or removed above it, and when the text of the finding changes.
    """
    rules = {finding.rule: finding for finding in sorted(review.findings, key=lambda finding: finding.rule)}
    indexes = {rule: i for i, rule in enumerate(rules)}
    driver = {
        "name": "pgyoyo", "semanticVersion": pgyoyo.__version__,
        "rules": [_rule(finding) for finding in rules.values()],
    }  # fmt: skip
    results = [result for sheet in review.sheets for result in _results(sheet, indexes)]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    """The rule of a finding; a rule of squawk is described by the finding itself."""
    own = rulebook().get(finding.rule)
    if own is None:
        title, level = finding.rule.replace(":", ": ").replace("-", " "), finding.severity
        text = "\n".join(filter(None, (finding.effect, finding.workaround))) or finding.happens
    else:
        title, level = own.title, own.severity
        text = "\n".join((own.effect.strip().replace("{table}", "the table"), own.safer()))
    rule = {
        "id": finding.rule, "shortDescription": {"text": title}, "help": {"text": text},
        "defaultConfiguration": {"level": _level(level)},
    }  # fmt: skip
    return rule | ({"helpUri": finding.url} if finding.url.startswith(("https://", "http://")) else {})


def _results(sheet: Sheet, indexes: dict[str, int]) -> list[dict[str, Any]]:
    sql = {statement.number: statement.sql for statement in sheet.statements}
    counted: Counter[str] = Counter()
    results = []
    for finding in sheet.findings:
        # The words of the statement, whatever their layout; the same statement again differs by its count.
        words = " ".join(sql.get(finding.statement or 0, "").split())
        identity = "\0".join((finding.rule, sheet.id, finding.path.name, words))
        counted[identity] += 1
        mark = hashlib.sha256(f"{identity}\0{counted[identity]}".encode(errors="backslashreplace")).hexdigest()
        result: dict[str, Any] = {
            "ruleId": finding.rule,
            "ruleIndex": indexes[finding.rule],
            "level": _level(finding.severity),
            "message": {
                "text": printable("\n".join(filter(None, (finding.happens, finding.effect, finding.workaround))))
            },
            "locations": [{"physicalLocation": _place(finding)}],
            "partialFingerprints": {"pgyoyoStatement/v1": mark},
            "properties": {"migration": sheet.id, "source": finding.source},
        }
        if finding.allowed:
            result["suppressions"] = [{"kind": "inSource", "justification": printable(finding.allowed)}]
        results.append(result)
    return results


def _level(severity: str) -> str:
    """SARIF has no level for paperwork."""
    return NOTE if severity == PAPERWORK else severity


def _place(finding: Finding) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(finding.path)}, "region": {"startLine": max(finding.line, 1)}}


def _uri(path: Path) -> str:
    # A relative path whose first part contains a colon would read as a scheme; quote() escapes it.
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path))
