ALTER TABLE version_eval DROP COLUMN usage;
