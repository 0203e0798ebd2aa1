CREATE INDEX visit_day_idx ON visit (day);
CREATE INDEX pet_name_idx ON pet (name);
