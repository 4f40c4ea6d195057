DROP TABLE import_line;
DELETE FROM job WHERE kind = 'IMPORT';
ALTER TABLE job DROP COLUMN labeled;
DROP INDEX job_one_active;
CREATE UNIQUE INDEX job_one_active ON job (dataset_id) WHERE kind = 'SYNC' AND status IN ('QUEUED', 'RUNNING');
ALTER TABLE job DROP CONSTRAINT job_kind_check,
    ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE', 'MANIFEST'));
