CREATE TABLE toy (id bigint PRIMARY KEY);
CREATE TABLE box (id bigint PRIMARY KEY);

-- also: reapply-fails
