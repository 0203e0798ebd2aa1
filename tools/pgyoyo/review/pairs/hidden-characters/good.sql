-- A family, 👨‍👩‍👧, and a word of Persian, می‌خواهم. A heart, ❤️, and 1️⃣ in a box: 10 000 times !
CREATE TABLE access (level text);
INSERT INTO access	VALUES ('1 000'), (E'us\u200ber');
