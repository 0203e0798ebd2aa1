-- transactional: false
VACUUM pet;
