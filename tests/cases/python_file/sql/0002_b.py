from yoyo import step

__depends__ = {"0001_a"}


def fill(conn):
    conn.cursor().execute("INSERT INTO a VALUES (1)")


step(fill, fill)
