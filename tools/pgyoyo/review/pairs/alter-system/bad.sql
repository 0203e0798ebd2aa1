-- transactional: false
ALTER SYSTEM RESET work_mem;
