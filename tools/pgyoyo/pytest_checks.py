"""The ready-made tests under the name that a project imports: `from pgyoyo.pytest_checks import *`."""

from pgyoyo.testing.checks import *  # noqa: F403 - a project takes all of them
