"""The CJ migrations by the tests that every project gets with this one line."""

from pgyoyo.pytest_checks import *  # noqa: F403
