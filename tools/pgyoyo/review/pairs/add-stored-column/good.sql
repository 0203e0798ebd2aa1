CREATE VIEW person_with_initial AS SELECT *, left(name, 1) AS initial FROM person;
