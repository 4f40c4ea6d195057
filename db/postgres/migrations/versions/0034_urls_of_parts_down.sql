ALTER TABLE import_upload DROP COLUMN urls_until;
