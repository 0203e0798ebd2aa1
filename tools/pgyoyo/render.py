"""The sheets of a review, written in the layout that was asked for."""

from pgyoyo import render_text
from pgyoyo.render_text import last_line
from pgyoyo.sheet import Review
from pgyoyo.sheet_words import without_measures

__all__ = ["last_line", "render"]


def render(review: Review, layout: str, *, timings: bool = True, color: bool = False, width: int = 100) -> str:
    """The review as text, markdown, html, json, sarif or github; the same review gives the same text.

    Without timings what two runs measure differently is left out. Colour and width are of text only.
    """
    if not timings:
        review = without_measures(review)
    match layout:
        case "text":
            return render_text.render(review, color=color, width=width)
        case "markdown":
            from pgyoyo import render_markdown  # noqa: PLC0415 - only one of the layouts is needed

            return render_markdown.render(review)
        case "html":
            from pgyoyo import render_html  # noqa: PLC0415

            return render_html.render(review)
        case "json":
            from pgyoyo import render_json  # noqa: PLC0415

            return render_json.render(review)
        case "sarif":
            from pgyoyo import render_sarif  # noqa: PLC0415

            return render_sarif.render(review)
        case "github":
            from pgyoyo import render_github  # noqa: PLC0415

            return render_github.render(review)
    raise ValueError(f"no layout {layout!r}")
