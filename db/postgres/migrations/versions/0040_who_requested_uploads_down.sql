ALTER TABLE upload DROP COLUMN token_id;
