UPDATE change SET job_id = NULL FROM job WHERE job.id = job_id AND job.kind = 'LARGE_CHANGE';
DELETE FROM dataset_event USING job WHERE dataset_event.kind = 'JOB' AND job.id = subject_id AND job.kind = 'LARGE_CHANGE';
DELETE FROM job WHERE kind = 'LARGE_CHANGE';
ALTER TABLE job DROP CONSTRAINT job_kind_check,
    ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE', 'MANIFEST', 'IMPORT', 'EXPORT'));
