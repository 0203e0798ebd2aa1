DROP TABLE visit_2025;

-- also: drop-table
