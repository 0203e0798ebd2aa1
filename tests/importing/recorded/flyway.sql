-- What Flyway makes of projects/flyway, but for its last version; its table as its PostgreSQL part makes it.
CREATE TABLE public.users (
    id bigint NOT NULL,
    email text NOT NULL,
    touched_at timestamp with time zone,
    name text
);
CREATE VIEW public.emails AS
 SELECT email
   FROM public.users;
CREATE TABLE public.flyway_schema_history (
    installed_rank integer NOT NULL,
    version character varying(50),
    description character varying(200) NOT NULL,
    type character varying(20) NOT NULL,
    script character varying(1000) NOT NULL,
    checksum integer,
    installed_by character varying(100) NOT NULL,
    installed_on timestamp without time zone DEFAULT now() NOT NULL,
    execution_time integer NOT NULL,
    success boolean NOT NULL
);
ALTER TABLE public.users ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO public.flyway_schema_history VALUES (1, '1', 'create users', 'SQL', 'V1__create_users.sql', 1, 'ann', '2024-01-01 00:00:00', 1, true);
INSERT INTO public.flyway_schema_history VALUES (2, '1.2', 'index email', 'SQL', 'more/V1.2__index_email.sql', 2, 'ann', '2024-01-01 00:00:00', 1, true);
INSERT INTO public.flyway_schema_history VALUES (3, '10', 'add name', 'SQL', 'V10__add name.sql', 3, 'ann', '2024-01-01 00:00:00', 1, true);
INSERT INTO public.flyway_schema_history VALUES (4, NULL, 'emails', 'SQL', 'R__emails.sql', 4, 'ann', '2024-01-01 00:00:00', 1, true);
SELECT pg_catalog.setval('public.users_id_seq', 1, false);
ALTER TABLE ONLY public.flyway_schema_history
    ADD CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX flyway_schema_history_s_idx ON public.flyway_schema_history USING btree (success);
CREATE INDEX users_email_idx ON public.users USING btree (email);
