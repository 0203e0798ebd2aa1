CLUSTER person USING person_age_idx;
