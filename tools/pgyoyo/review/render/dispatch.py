"""The review in one of its formats, each a module beside this one."""

from importlib import import_module

from pgyoyo.review.render.phrases import last_line, without_measures
from pgyoyo.review.sheet import Review

__all__ = ["last_line", "render"]
FORMATS = ("text", "markdown", "html", "json", "sarif", "github")


def render(review: Review, layout: str, *, timings: bool = True, color: bool = False, width: int = 100) -> str:
    """The review in the format `layout`; the same review always gives the same text.

    Without `timings` what differs from run to run is left out. Colour and width are for text only.
    """
    if layout not in FORMATS:
        raise ValueError(f"no layout {layout!r}")
    options = {"color": color, "width": width} if layout == "text" else {}
    module = import_module(f"pgyoyo.review.render.{layout}")
    text: str = module.render(review if timings else without_measures(review), **options)
    return text
