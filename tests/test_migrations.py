"""The CJ migrations by the tests that every project gets with this one line."""

from pgyoyo.testing.checks import *  # noqa: F403
