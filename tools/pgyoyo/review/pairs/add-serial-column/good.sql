CREATE SEQUENCE audit_id_seq;
ALTER TABLE audit ADD COLUMN id bigint;
ALTER TABLE audit ALTER COLUMN id SET DEFAULT nextval('audit_id_seq');
ALTER SEQUENCE audit_id_seq OWNED BY audit.id;
