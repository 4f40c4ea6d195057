ALTER TABLE upload DROP COLUMN generation;
DROP INDEX job_one_manifest, job_version;
ALTER TABLE job DROP COLUMN version_id;
