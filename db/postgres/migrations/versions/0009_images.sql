-- The file ends before its image does.
ALTER TABLE source ADD COLUMN damaged boolean DEFAULT false NOT NULL;
CREATE INDEX source_damaged ON source (dataset_id, id) WHERE damaged;

-- What a VOC file says of an object beside its shape: {"difficult": true, "truncated": true, "occluded": true,
-- "pose": "Left"}. What it does not say, or says as nearly every file does, is left out; null is nothing at all.
ALTER TABLE annotation ADD COLUMN attributes jsonb,
    ADD CONSTRAINT annotation_attributes_check
        CHECK (jsonb_typeof(attributes) = 'object' AND octet_length(attributes::text) <= 1024);
SELECT refresh_history('annotation');
