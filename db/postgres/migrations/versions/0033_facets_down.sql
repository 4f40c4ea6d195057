ALTER TABLE sample DROP COLUMN labels_key, DROP COLUMN facets_key;  -- and the indexes that have them
ALTER TABLE sample_past DROP COLUMN labels_key, DROP COLUMN facets_key;
SELECT refresh_history('sample');
DROP FUNCTION labels_key, labels_in, facets_key;
CREATE INDEX sample_newest ON sample (dataset_id, created_at, id);
CREATE INDEX sample_added ON sample (dataset_id, added_at, id);
CREATE INDEX sample_since ON sample (dataset_id, since, id);
CREATE INDEX sample_state ON sample (dataset_id, state, created_at, id);
CREATE INDEX sample_labeled_by ON sample (dataset_id, labeled_by, created_at, id) WHERE labeled_by IS NOT NULL;
CREATE INDEX sample_hard ON sample (dataset_id, created_at, id) WHERE hard;
