"""The page of a review: self-contained, safe, and laid out by a real browser."""

import html
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import sheets
from conftest import chromium
from pgyoyo.review.render.dispatch import render
from pgyoyo.review.sheet import Sheet

WIDTHS = (390, 1280)
VOID = {"meta", "br", "hr", "link", "img", "input"}

# Lays each page out in frames of these widths, and writes what it finds where --dump-dom shows it: whether a page is
# wider than its frame, which elements stick out of it, and the lowest contrast of a text with what is behind it (WCAG 2.2,
# 1.4.3).
FRAMES = """<!doctype html><body><pre id="found"></pre><script>
const pages = %s, widths = %s, schemes = ["light", "dark"];
const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const behind = (view, one) => {
  for (; one; one = one.parentElement) {
    const color = rgb(view.getComputedStyle(one).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const look = (frame, name, width, scheme) => {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  let least = 99, where = "", out = [];
  for (const one of page.body.querySelectorAll("*")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    if (!one.checkVisibility() || one.closest("desc, title, .sign")) continue;
    const box = one.getBoundingClientRect();
    if (!one.closest(".scroll") && (box.right > width + 0.5 || box.left < -0.5)) out.push(one.outerHTML.slice(0, 80));
    const style = view.getComputedStyle(one), ink = rgb(one.closest("svg") ? style.fill : style.color);
    const [high, low] = [light(ink), light(behind(view, one))].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) [least, where] = [ratio, one.outerHTML.slice(0, 80)];
  }
  const timeline = page.querySelector(".scroll");
  return {name, width, scheme, wide: root.scrollWidth, view: root.clientWidth, out, least, where,
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches, opened: page.title.length > 0,
    scrolls: timeline !== null && timeline.scrollWidth > timeline.clientWidth};
};
const every = Object.keys(pages).flatMap((name) => widths.flatMap((width) => schemes.map((scheme) => [name, width, scheme])));
const shown = every.map(([name, width, scheme]) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style = `border: 0; width: ${width}px; height: 800px; color-scheme: ${scheme}`;
  frame.onload = () => done(look(frame, name, width, scheme));
  frame.srcdoc = pages[name];
  document.body.append(frame);
}));
Promise.all(shown).then((found) => { document.getElementById("found").textContent = JSON.stringify(found); });
</script>"""


def page(*made: Sheet) -> str:
    return render(sheets.review(*made), "html")


# --- In a browser ---


@pytest.fixture
def browser() -> str:
    """The path of a Chromium."""
    path = chromium()
    assert path, "Chromium is not installed: apt-get update && apt-get install chromium"
    return path


def test_page_is_readable_on_a_phone_and_on_a_desk_in_light_and_in_dark(browser: str, tmp_path: Path) -> None:
    pages = {
        "usual": page(), "different": page(sheets.different(80)), "hostile": page(sheets.hostile()),
        "clean": page(sheets.clean()),
    }  # fmt: skip
    layouts = laid_out(browser, pages, tmp_path)
    assert len(layouts) == len(pages) * len(WIDTHS) * 2
    assert all(layout["dark"] == (layout["scheme"] == "dark") for layout in layouts)
    # No page is wider than the window, and nothing sticks out of it.
    assert [(layout["name"], layout["width"], layout["out"]) for layout in layouts if layout["out"]] == []
    assert [
        (layout["name"], layout["width"], layout["wide"]) for layout in layouts if layout["wide"] != layout["view"]
    ] == []
    assert [
        (layout["name"], layout["scheme"], layout["least"], layout["where"])
        for layout in layouts
        if layout["least"] < 4.5
    ] == []
    # A long timeline scrolls in its own box.
    scrolls = {layout["name"]: layout["scrolls"] for layout in layouts if layout["width"] == 1280}
    assert scrolls == {"usual": False, "different": True, "hostile": False, "clean": False}


def test_browser_would_see_what_is_too_wide_or_too_pale(browser: str, tmp_path: Path) -> None:
    bad = '<title>x</title><body style="color: #999; background: #aaa"><p style="width: 500px">words</p>'
    wide, *_ = laid_out(browser, {"bad": bad}, tmp_path)
    assert wide["wide"] > wide["view"]
    assert wide["out"]
    assert wide["least"] < 1.5


def laid_out(browser: str, pages: dict[str, str], folder: Path) -> list[dict[str, Any]]:
    """What a browser says of the pages, at each width in each color scheme."""
    file = folder / "frames.html"
    file.write_text(FRAMES % (json.dumps(pages).replace("<", "\\u003c"), json.dumps(WIDTHS)))
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=60000", "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    dumped = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert dumped, done.stderr[-2000:]
    layouts: list[dict[str, Any]] = json.loads(html.unescape(dumped[1]))
    return layouts


# --- As text ---


class Reader(HTMLParser):
    """Reads a page strictly: its tags, and what is seen of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("made", [sheets.bad, sheets.hostile, sheets.different])
def test_page_needs_nothing_else_and_runs_nothing(made) -> None:
    for tag, attributes in Reader(page(made())).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base", "use", "image")
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "xlink:href")]
        assert (attributes.get("href") or "#").startswith(("#", "https://"))
    assert re.search(r"url\(|@import", page(made()).partition("</style>")[0]) is None


def test_hostile_text_is_shown_as_text() -> None:
    read = Reader(page(sheets.hostile()))
    assert "</script><script>alert(1)</script> | `tick`" in read.text
    assert "{{ 7 * 7 }}" in read.text
    assert r"\u202eevil" in read.text
    assert "\u202e" not in read.text
    assert "\x1b" not in read.text


def test_timeline_is_told_in_words_too() -> None:
    read = page(sheets.bad())
    described = re.search(r"<desc[^>]*>(.*?)</desc>", read, re.DOTALL)
    assert described is not None
    assert (
        described[1] == "ACCESS EXCLUSIVE on cj_batch_states, blocks reads and writes: from statement 1 to the COMMIT. "
    )
    [labelled] = [
        attributes for tag, attributes in Reader(read).tags if tag == "svg" and attributes.get("role") == "img"
    ]
    for name in (labelled["aria-labelledby"] or "").split():
        assert read.count(f'id="{name}"') == 1


def test_sql_stands_with_the_numbers_of_its_lines_and_findings_beside_it() -> None:
    text = page(sheets.bad())
    assert '<span data-line="6">    ADD COLUMN total_budget integer</span>' in text
    second = text[text.index("2. UPDATE cj_batch_states") :]
    assert second.index("lock-held-while-working") < second.index(">Rollback</h3>")
    assert "ACCESS EXCLUSIVE on cj_batch_states: 48 million rows, 6.2 GB" in text
    assert "lossy: every total_budget is gone" in text
    assert "oldest transaction on it 12.0 s" in text


def test_findings_that_say_the_same_stand_once_with_all_their_lines() -> None:
    made = sheets.bad()
    note = made.findings[0]
    text = page(replace(made, findings=(note, replace(note, line=6), *made.findings[1:])))
    assert text.count("the columns change: total_budget") == 1
    assert "lines 5, 6</span>" in text


def test_words_of_the_server_keep_the_caret_under_its_place() -> None:
    made = sheets.failed()
    caret = "ERROR: syntax error\n  SELECT nope\n         ^"
    text = page(replace(made, findings=(replace(made.findings[0], happens=caret),)))
    assert f"<pre>{caret}</pre>" in text


def test_every_link_leads_to_a_place_on_the_page() -> None:
    for made in (sheets.bad(), sheets.failed(), sheets.different(), sheets.hostile()):
        tags = Reader(page(made, sheets.clean())).tags
        places = [attributes["id"] for _, attributes in tags if "id" in attributes]
        assert len(places) == len(set(places))
        links = {unquote((attributes["href"] or "")[1:]) for tag, attributes in tags if tag == "a"}
        assert links
        assert links <= set(places)


def test_sql_of_statements_alike_is_folded_up_to_a_limit_and_the_page_says_what_is_left_out() -> None:
    text = page(sheets.long())
    assert "<summary>the 297 others</summary>" in text
    assert '<span data-line="299">INSERT INTO words VALUES (299)</span>' in text
    text = page(sheets.long(20_000))
    assert len(text) < 400_000
    assert re.search(r"[\d,]+ more statements, up to line 19999 of sql/migrations/0005_long.sql", text)


def test_long_statement_shows_its_beginning_and_folds_the_rest() -> None:
    made = sheets.clean()
    text = page(replace(made, statements=(replace(made.statements[0], sql="\n".join(map(str, range(1, 101)))),)))
    shown, folded = text.split("<summary>70 more lines</summary>")
    assert '<span data-line="30">30</span>' in shown
    assert '<span data-line="31">31</span>' in folded
    assert '<span data-line="100">100</span>' in folded


def test_templates_are_part_of_the_package() -> None:
    import pgyoyo

    for name in ("review.html.jinja", "review.md.jinja"):
        assert (Path(pgyoyo.__file__).parent / "review" / "render" / name).is_file()
