VACUUM person;
