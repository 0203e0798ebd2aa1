"""Who was in the way when a run gave up."""

from pgyoyo.reports import Observer


class LastNote(Observer):
    """Keeps the last note since a migration was done: who was in the way when the run gave up."""

    text = ""

    def note(self, text: str) -> None:
        """Kept."""
        self.text = text

    def notice(self, text: str) -> None:
        """Not kept: it is about what a migration did, and not about what the run waited for."""

    def ran(self, verb: str, migration_id: str, duration: float) -> None:  # noqa: ARG002
        """What was in its way is over."""
        self.text = ""
