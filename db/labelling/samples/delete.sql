-- name: plan_source_deletions
-- The intent to delete files commits with the deletion of their samples.
-- example: condition = true
INSERT INTO source_deletion (dataset_id, source_id, change_id, path, etag)
SELECT sample.dataset_id, source.id, :change_id, source.path, source.etag
FROM selected JOIN sample USING (id) JOIN source ON source.id = sample.source_id
WHERE {condition}
ORDER BY selected.id

-- name: delete_annotations
-- example: condition = true
DELETE FROM annotation USING selected JOIN sample USING (id) WHERE annotation.sample_id = selected.id AND ({condition})

-- name: delete_samples
-- example: condition = true
DELETE FROM sample USING selected WHERE sample.id = selected.id AND ({condition})
