CREATE TABLE toy (id serial PRIMARY KEY);
