CREATE TABLE a (i int, t text);
COPY a (i, t) FROM stdin;
1	\N
2	copy a from stdin;
\.

INSERT INTO a VALUES (3, 'é');
COPY a FROM stdin WITH (FORMAT csv);
4,"x,y"
\.
