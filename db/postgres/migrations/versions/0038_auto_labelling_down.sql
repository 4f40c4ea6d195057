DROP TABLE image_feature, auto_label_example, auto_label_sample, auto_label_threshold, auto_label_confusion,
    auto_label_score, auto_label;
UPDATE change SET job_id = NULL FROM job WHERE job.id = job_id AND job.kind = 'AUTO_LABEL';
DELETE FROM dataset_event USING job WHERE dataset_event.kind = 'JOB' AND job.id = subject_id AND job.kind = 'AUTO_LABEL';
DELETE FROM job WHERE kind = 'AUTO_LABEL';
DROP INDEX job_one_auto_label;
ALTER TABLE job DROP COLUMN needs, DROP COLUMN waits_for, DROP CONSTRAINT job_kind_check,
    ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE', 'MANIFEST', 'IMPORT', 'EXPORT', 'LARGE_CHANGE'));
