-- name: sees_messages
-- Whether code of this database can see the message that a statement came in, or change how text is read: {words} as a
-- pattern, in a function, and by oid (pg_proc.dat) in an SQL body, a column's default, a rule or view, a trigger's WHEN, a policy or a CHECK.
-- What the server brings itself has oids below 16384.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_proc AS p
    WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND p.prosrc OPERATOR(pg_catalog.~*) '{words}'
) OR EXISTS (
    SELECT FROM (
        SELECT p.prosqlbody::pg_catalog.text FROM pg_catalog.pg_proc AS p
        WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND p.prosqlbody IS NOT NULL
        UNION ALL SELECT d.adbin::pg_catalog.text FROM pg_catalog.pg_attrdef AS d
        UNION ALL SELECT r.ev_action::pg_catalog.text FROM pg_catalog.pg_rewrite AS r
        WHERE r.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
        UNION ALL SELECT t.tgqual::pg_catalog.text FROM pg_catalog.pg_trigger AS t WHERE t.tgqual IS NOT NULL
        UNION ALL SELECT pg_catalog.concat(q.polqual, q.polwithcheck) FROM pg_catalog.pg_policy AS q
        UNION ALL SELECT c.conbin::pg_catalog.text FROM pg_catalog.pg_constraint AS c WHERE c.conbin IS NOT NULL
    ) AS code (text)
    WHERE code.text OPERATOR(pg_catalog.~) ':funcid (?:{oids}) '
);
