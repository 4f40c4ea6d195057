-- Of several dry runs in a dataset the first stays.
UPDATE job SET status = 'CANCELED', epoch = epoch + 1, finished_at = clock_timestamp()
WHERE kind = 'SYNC' AND is_dry_run AND status IN ('QUEUED', 'RUNNING')
  AND EXISTS (SELECT FROM job AS earlier
              WHERE earlier.dataset_id = job.dataset_id AND earlier.kind = 'SYNC' AND earlier.is_dry_run
                AND earlier.status IN ('QUEUED', 'RUNNING') AND earlier.id < job.id);
DROP INDEX job_one_dry_run;
CREATE UNIQUE INDEX job_one_dry_run ON job (dataset_id)
    WHERE kind = 'SYNC' AND is_dry_run AND status IN ('QUEUED', 'RUNNING');
