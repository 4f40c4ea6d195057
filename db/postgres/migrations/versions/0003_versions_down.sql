DROP FUNCTION version_of, labels_few_in, labels_all_named_in, labels_named_in, version_past_few, version_revision, version_dataset;
DROP INDEX sample_since, label_since, sample_past_since, label_past_since, sample_past_state, sample_past_path,
    sample_past_hard, sample_past_labels, sample_past_labeled_by, sample_past_source;
DROP TABLE base_before, base, version_eval, version_label, version;
DELETE FROM job WHERE kind = 'MANIFEST';
ALTER TABLE job DROP CONSTRAINT job_kind_check, ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE'));
