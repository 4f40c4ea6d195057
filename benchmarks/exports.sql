-- name: without_triggers
-- Nobody has changed what is made here.
SET LOCAL session_replication_role = replica

-- name: dataset
UPDATE dataset SET type = 'OBJECT_DETECTION', input_path = :input_path, output_path = :output_path

-- name: pictures
UPDATE source SET etag = (:etags::text[])[number], size = (:sizes::bigint[])[number], width = 96, height = 96
FROM (SELECT id, 1 + (n / :kinds::integer + n) % :kinds::integer AS number
      FROM (SELECT id, substring(path FROM 'image_([0-9]+)')::integer AS n FROM source) named) numbered
WHERE numbered.id = source.id

-- name: boxes
UPDATE annotation SET shape = jsonb_build_object(
    'type', 'BoundingBox', 'xMin', id % 40, 'yMin', id % 30 + 0.5, 'xMax', id % 40 + 25.25, 'yMax', id % 30 + 50)
