"""The process of the command `pgyoyo`, and of `python -m pgyoyo`: begun and ended without work that nobody needs."""

import gc
import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # What is imported stays, so looking for garbage meanwhile finds none: a tenth of a short run.
    gc.set_threshold(100_000)
    from pgyoyo.cli.main import main

    code = 0
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise  # the interpreter prints it
        code = end.code or 0
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # the interpreter says what it says of a closed pipe
    # The interpreter would take every module apart before it ends: a fifth of a short run. Nothing is open any more.
    os._exit(code)


if __name__ == "__main__":
    run()
