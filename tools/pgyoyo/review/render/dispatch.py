"""The sheets of a review, written in the layout that was asked for."""

from pgyoyo.review.render import text
from pgyoyo.review.render.phrases import without_measures
from pgyoyo.review.render.text import last_line
from pgyoyo.review.sheet import Review

__all__ = ["last_line", "render"]


def render(review: Review, layout: str, *, timings: bool = True, color: bool = False, width: int = 100) -> str:
    """The review as text, markdown, html, json, sarif or github; the same review gives the same text.

    Without timings what two runs measure differently is left out. Colour and width are of text only.
    """
    if not timings:
        review = without_measures(review)
    match layout:
        case "text":
            return text.render(review, color=color, width=width)
        case "markdown":
            from pgyoyo.review.render import markdown

            return markdown.render(review)
        case "html":
            from pgyoyo.review.render import html

            return html.render(review)
        case "json":
            from pgyoyo.review.render import json

            return json.render(review)
        case "sarif":
            from pgyoyo.review.render import sarif

            return sarif.render(review)
        case "github":
            from pgyoyo.review.render import github

            return github.render(review)
    raise ValueError(f"no layout {layout!r}")
