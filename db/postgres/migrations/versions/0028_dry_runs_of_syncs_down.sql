DROP TABLE sync_example;
DELETE FROM job WHERE kind = 'SYNC' AND is_dry_run;
DROP INDEX job_one_dry_run;
DROP INDEX job_one_active;
CREATE UNIQUE INDEX job_one_active ON job (dataset_id)
    WHERE kind IN ('SYNC', 'IMPORT') AND status IN ('QUEUED', 'RUNNING');
ALTER TABLE sync_item DROP COLUMN moved;
ALTER TABLE job DROP COLUMN unchanged;
