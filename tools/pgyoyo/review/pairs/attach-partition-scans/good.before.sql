ALTER TABLE visit_2026 ADD CONSTRAINT visit_2026_day_check
  CHECK (day >= '2026-01-01' AND day < '2027-01-01');
ALTER TABLE visit_other ADD CONSTRAINT visit_other_day_check
  CHECK (NOT (day >= '2026-01-01' AND day < '2027-01-01'));
