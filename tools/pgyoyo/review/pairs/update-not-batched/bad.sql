UPDATE person SET age = 0;
