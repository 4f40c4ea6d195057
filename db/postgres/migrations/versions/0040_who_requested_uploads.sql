ALTER TABLE upload ADD COLUMN token_id bigint;
