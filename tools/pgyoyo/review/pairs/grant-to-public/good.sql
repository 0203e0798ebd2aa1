GRANT SELECT ON person TO pg_monitor;
