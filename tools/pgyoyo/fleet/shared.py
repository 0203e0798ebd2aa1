"""The migrations of a group of its own, as they stand before those of the schemas that use what it makes."""

from collections.abc import Sequence

from pgyoyo.migrations.migration import Migration, hash_of


def as_of(group: str, migrations: Sequence[Migration]) -> list[Migration]:
    """The migrations under ids that no file of another group has."""
    names = [f"{group}/{migration.id}" for migration in migrations]
    return [m._replace(id=name, hash=hash_of(name)) for name, m in zip(names, migrations, strict=True)]
