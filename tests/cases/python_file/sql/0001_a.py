"""Table a."""

from yoyo import step

steps = [step("CREATE TABLE a (i int)", "DROP TABLE a")]
