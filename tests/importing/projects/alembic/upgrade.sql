BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> aaa111

CREATE TABLE users (
    id SERIAL NOT NULL, 
    name TEXT, 
    PRIMARY KEY (id)
);

COMMENT ON TABLE users IS 'a; b -- c';

INSERT INTO alembic_version (version_num) VALUES ('aaa111') RETURNING alembic_version.version_num;

-- Running upgrade aaa111 -> ccc333

CREATE TABLE r (id int);

UPDATE alembic_version SET version_num='ccc333' WHERE alembic_version.version_num = 'aaa111';

-- Running upgrade aaa111 -> bbb222

CREATE TABLE l (id int);

COMMIT;

CREATE INDEX CONCURRENTLY users_name_idx ON users (name);

BEGIN;

CREATE TABLE l2 (id int);

INSERT INTO alembic_version (version_num) VALUES ('bbb222') RETURNING alembic_version.version_num;

-- Running upgrade bbb222, ccc333 -> ddd444

DELETE FROM alembic_version WHERE alembic_version.version_num = 'bbb222';

UPDATE alembic_version SET version_num='ddd444' WHERE alembic_version.version_num = 'ccc333';

-- Running upgrade ddd444 -> eee555

CREATE TABLE z (id int);

UPDATE alembic_version SET version_num='eee555' WHERE alembic_version.version_num = 'ddd444';

COMMIT;

