DROP TABLE export_sample, export_file, export;
DELETE FROM job WHERE kind = 'EXPORT';
ALTER TABLE job DROP CONSTRAINT job_kind_check;
ALTER TABLE job ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE', 'MANIFEST', 'IMPORT'));
