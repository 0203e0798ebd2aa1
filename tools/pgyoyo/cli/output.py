"""Files that commands write where an option names them."""

from pathlib import Path

from pgyoyo import whole_file
from pgyoyo.errors import UsageError


def require_folder(output: str | None) -> None:
    """Raises UsageError where the folder of a file to be written is not there: before the work that fills it."""
    if output and not Path(output).parent.is_dir():
        raise UsageError(
            f"{output} can't be written: there is no folder {Path(output).parent}; create it, or name another file"
        )


def write(path: str, text: str) -> None:
    """Write the file; raises UsageError."""
    try:
        whole_file.write(Path(path), text.encode())
    except UsageError as error:
        raise UsageError(f"{error}; name another file: --output FILE") from None
