/* Table
   a */
-- transactional: false
CREATE TABLE a (i int);
