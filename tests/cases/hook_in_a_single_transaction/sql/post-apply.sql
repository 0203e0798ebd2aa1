-- transactional: false
VACUUM a;
