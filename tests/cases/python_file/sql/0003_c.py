from yoyo import step

__depends__ = {"0002_b"}

step("CREATE TABLE c (i int)", "DROP TABLE c")
