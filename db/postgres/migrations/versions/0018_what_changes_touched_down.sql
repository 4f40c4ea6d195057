DROP INDEX sample_since, sample_past_since, sample_past_until;
CREATE INDEX sample_since ON sample (dataset_id, since);
CREATE INDEX sample_past_since ON sample_past (dataset_id, since);
CREATE INDEX sample_past_until ON sample_past (dataset_id, until);
