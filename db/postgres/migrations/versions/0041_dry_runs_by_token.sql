DROP INDEX job_one_dry_run;
CREATE UNIQUE INDEX job_one_dry_run ON job (dataset_id, requested_by)
    WHERE kind = 'SYNC' AND is_dry_run AND status IN ('QUEUED', 'RUNNING');
