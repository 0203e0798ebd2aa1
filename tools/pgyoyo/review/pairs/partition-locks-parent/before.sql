DROP TABLE visit_other;
