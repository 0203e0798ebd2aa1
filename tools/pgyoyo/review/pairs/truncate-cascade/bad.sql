TRUNCATE person CASCADE;

-- also: truncate, locks-other-table
