CREATE TABLE a (i int);
COPY a FROM stdin;
1
x
\.
