CREATE TABLE visit_2026 (LIKE visit);
