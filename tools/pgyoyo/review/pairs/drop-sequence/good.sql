CREATE SEQUENCE order_number;
DROP SEQUENCE order_number;
