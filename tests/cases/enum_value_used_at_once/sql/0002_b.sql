ALTER TYPE mood ADD VALUE 'ok';
CREATE TABLE b (m mood DEFAULT 'ok');
