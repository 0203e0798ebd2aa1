-- What Prisma's schema engine 8.1 made of projects/prisma, but for its last migration; the second one failed once.
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
INSERT INTO public._prisma_migrations VALUES ('18664a7f-d0da-4e42-b4cc-ed651f907ebb', 'c16d6921fddc29b9cce93c3d22417129a8dea50e9ea14967c9de88eeb7ad536b', '2026-11-29 00:40:31.426+00', '20240101120000_create_users', NULL, NULL, '2026-11-29 00:40:31.418+00', 1);
INSERT INTO public._prisma_migrations VALUES ('315ddc98-ca4c-46b1-b0a0-0c9717d785a6', '4f4252855bab2735fe608dbddbd813a22ad3ece06053c0c40ccdacb000eff20b', NULL, '20240102120000_index_email', 'external connector error: division by zero', '2026-11-29 00:40:31.454+00', '2026-11-29 00:40:31.427+00', 0);
INSERT INTO public._prisma_migrations VALUES ('d979c2c8-c308-43ba-bf56-942dd5ef4d94', '7e4130b7803f70ade0a1868f1224ea9b8b13a765ad155d6091e35c44766ad76f', '2026-11-29 00:40:31.481+00', '20240102120000_index_email', NULL, NULL, '2026-11-29 00:40:31.477+00', 1);
INSERT INTO public._prisma_migrations VALUES ('a7426273-eafb-4a86-8993-3295124c868b', '0983c8c2474f18152b093842104ef9aef25f03fb78861c9e681da2249a64a385', '2026-11-29 00:40:31.484+00', '20240103120000_nothing', NULL, NULL, '2026-11-29 00:40:31.481+00', 1);
SELECT pg_catalog.setval('public."User_id_seq"', 1, false);
ALTER TABLE ONLY public."User"
    ADD CONSTRAINT "User_pkey" PRIMARY KEY (id);
ALTER TABLE ONLY public._prisma_migrations
    ADD CONSTRAINT _prisma_migrations_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX "User_email_key" ON public."User" USING btree (email);
