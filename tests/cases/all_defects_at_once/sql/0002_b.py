step("CREATE TABLE b ()"
