CREATE TABLE access (level text);
/* For admins only ‮; ⁦*/ INSERT INTO access VALUES ('us​er');
ALTER TABLE access ADD COLUMN level  text;
