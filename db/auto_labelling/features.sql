-- name: kept
SELECT content, vector FROM image_feature
WHERE dataset_id = :dataset_id AND network = :network AND content = ANY(:contents::text[])

-- name: keep
INSERT INTO image_feature (dataset_id, network, content, vector)
SELECT :dataset_id, :network, content, vector FROM unnest(:contents::text[], :vectors::bytea[]) AS new (content, vector)
ON CONFLICT DO NOTHING

-- name: forget_others
-- What other networks, or earlier versions, made of the dataset's images.
DELETE FROM image_feature WHERE dataset_id = :dataset_id AND network <> :network
