-- transactional: false
VACUUM person;
