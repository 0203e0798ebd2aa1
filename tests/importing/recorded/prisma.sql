-- What Prisma makes of projects/prisma, but for its last migration; its table as its schema engine makes it.
CREATE TABLE public."User" (
    id integer NOT NULL,
    email text NOT NULL
);
CREATE SEQUENCE public."User_id_seq"
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public."User_id_seq" OWNED BY public."User".id;
CREATE TABLE public._prisma_migrations (
    id character varying(36) NOT NULL,
    checksum character varying(64) NOT NULL,
    finished_at timestamp with time zone,
    migration_name character varying(255) NOT NULL,
    logs text,
    rolled_back_at timestamp with time zone,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_steps_count integer DEFAULT 0 NOT NULL
);
ALTER TABLE ONLY public."User" ALTER COLUMN id SET DEFAULT nextval('public."User_id_seq"'::regclass);
INSERT INTO public._prisma_migrations VALUES ('a', '', '2024-01-01 00:00:00+00', '20240101120000_create_users', NULL, NULL, '2024-01-01 00:00:00+00', 1);
INSERT INTO public._prisma_migrations VALUES ('b', '', NULL, '20240102120000_index_email', NULL, '2024-01-02 00:00:00+00', '2024-01-02 00:00:00+00', 0);
INSERT INTO public._prisma_migrations VALUES ('c', '', '2024-01-03 00:00:00+00', '20240102120000_index_email', NULL, NULL, '2024-01-03 00:00:00+00', 1);
INSERT INTO public._prisma_migrations VALUES ('d', '', '2024-01-04 00:00:00+00', '20240103120000_nothing', NULL, NULL, '2024-01-04 00:00:00+00', 1);
SELECT pg_catalog.setval('public."User_id_seq"', 1, false);
ALTER TABLE ONLY public."User"
    ADD CONSTRAINT "User_pkey" PRIMARY KEY (id);
ALTER TABLE ONLY public._prisma_migrations
    ADD CONSTRAINT _prisma_migrations_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX "User_email_key" ON public."User" USING btree (email);
