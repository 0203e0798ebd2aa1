"""A review written in one of its formats."""

from pgyoyo.sheet import Review

FORMATS = ("text", "markdown", "json", "sarif", "github", "html")


def render(found: Review, layout: str, *, timings: bool, color: bool, width: int) -> str:
    """The review in that format; colour and width are of the text alone."""
    # Each format's module is loaded for that format only.
    match layout:
        case "text":
            from pgyoyo import render_text  # noqa: PLC0415

            return render_text.render(found, timings=timings, color=color, width=width)
        case "markdown":
            from pgyoyo import render_markdown  # noqa: PLC0415

            return render_markdown.render(found, timings=timings)
        case "json":
            from pgyoyo import render_json  # noqa: PLC0415

            return render_json.render(found, timings=timings)
        case "sarif":
            from pgyoyo import render_sarif  # noqa: PLC0415

            return render_sarif.render(found, timings=timings)
        case "github":
            from pgyoyo import render_github  # noqa: PLC0415

            return render_github.render(found, timings=timings)
        case _:
            from pgyoyo import render_html  # noqa: PLC0415

            return render_html.render(found, timings=timings)
