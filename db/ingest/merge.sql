-- name: lock_samples_by_source
SELECT id FROM sample WHERE source_id = ANY(:sources::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: lock_samples_by_path
SELECT id FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) ORDER BY id FOR NO KEY UPDATE

-- name: existing_by_source
SELECT source.id AS source_id, source.path, source.status, source.etag, source.size, source.sidecar_etag,
       coalesce(source.content_hash, CASE WHEN length(source.etag) = 32 THEN source.etag END) AS content,
       source.width, source.height, source.orientation,
       sample.id AS sample_id, sample.labeled_origin, sample.hard, sample.usage
FROM source LEFT JOIN sample ON sample.source_id = source.id
WHERE source.id = ANY(:sources::bigint[])

-- name: existing_by_path
SELECT given.path, here.id AS source_id, here.status, here.etag, here.size,
       sample.id AS sample_id, sample.labeled_origin, sample.hard, sample.usage
FROM unnest(:paths::text[]) AS given (path)
LEFT JOIN sample ON sample.dataset_id = :dataset_id AND sample.path = given.path
LEFT JOIN source here ON here.dataset_id = :dataset_id AND here.path = given.path AND here.status <> 'GONE'

-- name: annotations
SELECT a.id, a.sample_id, label.name, a.labeled_by, a.labeled_at, a.confidence, a.confirmed, a.shape::text AS shape,
       a.attributes::text AS attributes
FROM annotation a JOIN label ON label.id = a.label_id
WHERE a.sample_id = ANY(:samples::bigint[]) AND (a.confirmed OR :suggestions::boolean)
ORDER BY a.id

-- name: being_deleted
SELECT path FROM source_deletion
WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL

-- name: shapes_outside
-- How many shapes of samples, those that are removed apart, reach beyond their images, whose sizes are given, if any.
SELECT sample.path, image.width, image.height, count(*) AS shapes
FROM unnest(:samples::bigint[], :widths::int[], :heights::int[]) AS image (sample_id, width, height)
JOIN sample ON sample.id = image.sample_id JOIN annotation a ON a.sample_id = sample.id
WHERE a.id <> ALL (:removed::bigint[])
  AND jsonb_path_exists(a.shape, '$ ? (@.xMax > $w || @.yMax > $h || @.position.x > $w || @.position.y > $h
                                       || @.center.x + @.radius > $w || @.center.y + @.radius > $h
                                       || exists (@.points[*] ? (@.x > $w || @.y > $h)))',
                        jsonb_build_object('w', image.width, 'h', image.height))
GROUP BY sample.id, image.width, image.height ORDER BY sample.path

-- name: count_new_labels
-- The first ones are named.
WITH given AS (
    SELECT new.*, EXISTS (SELECT FROM import_label k WHERE k.job_id = :job_id AND k.name = new.name) AS is_known
    FROM unnest(:names::text[], :samples::bigint[], :annotations::bigint[])
        WITH ORDINALITY AS new (name, samples, annotations, n)
), fresh AS (
    SELECT * FROM given
    WHERE NOT is_known AND NOT EXISTS (SELECT FROM label WHERE dataset_id = :dataset_id AND label.name = given.name)
    ORDER BY n LIMIT greatest(0, :most - (SELECT count(*) FROM import_label WHERE job_id = :job_id))
)
INSERT INTO import_label (job_id, name, sample_count, annotation_count)
SELECT :job_id, name, samples, annotations
FROM (SELECT * FROM given WHERE is_known UNION ALL SELECT * FROM fresh) AS counted ORDER BY n
ON CONFLICT (job_id, name) DO UPDATE
SET sample_count = import_label.sample_count + excluded.sample_count,
    annotation_count = import_label.annotation_count + excluded.annotation_count
