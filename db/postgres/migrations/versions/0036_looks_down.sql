DROP TABLE look_hash;
DROP FUNCTION look_parts;
DROP TABLE look;
ALTER TABLE dataset DROP COLUMN compares_looks;
