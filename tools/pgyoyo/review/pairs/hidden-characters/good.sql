-- A family, 👨‍👩‍👧, and a word of Persian, می‌خواهم.
CREATE TABLE access (level text);
INSERT INTO access	VALUES (E'us\u200ber');
