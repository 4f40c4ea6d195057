-- A mutation that changes many samples, as a job that shows its progress.
ALTER TABLE job DROP CONSTRAINT job_kind_check,
    ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE', 'MANIFEST', 'IMPORT', 'EXPORT', 'LARGE_CHANGE'));
