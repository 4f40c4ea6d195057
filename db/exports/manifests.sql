-- name: version
SELECT v.id, v.name, v.revision, v.total, v.is_split, d.id AS dataset_id, d.name AS dataset, d.type, d.input_path,
       d.output_path
FROM job JOIN version v ON v.id = job.version_id JOIN dataset d ON d.id = v.dataset_id
WHERE job.id = :job_id AND d.deleted_at IS NULL AND d.output_path IS NOT NULL

-- name: labels
SELECT label_id, name, color, shortcut FROM version_label WHERE version_id = :version_id

-- name: page
-- A page walks along the paths' indexes. What belongs to it is looked up by ids, which no plan can make a join of.
-- example: size = 10
SELECT * FROM (
    (SELECT id, path, source_id, state, hard, usage FROM sample
     WHERE dataset_id = :dataset_id AND since <= :revision AND path > :after ORDER BY path LIMIT {size})
    UNION ALL
    (SELECT id, path, source_id, state, hard, usage FROM sample_past_published
     WHERE dataset_id = :dataset_id AND since <= :revision AND until > :revision AND path > :after
     ORDER BY path LIMIT {size})
) AS every ORDER BY path LIMIT {size}

-- name: sizes
SELECT id, width, height FROM source WHERE id = ANY(:ids::bigint[])

-- name: aside
SELECT sample_id, usage FROM version_eval WHERE version_id = :version_id AND sample_id = ANY(:samples::bigint[])

-- name: annotations
SELECT every.*, CASE WHEN model_id IS NOT NULL
                     THEN (SELECT ARRAY[model.name, model.version] FROM model WHERE model.id = model_id) END AS model
FROM (
    SELECT id, sample_id, label_id, labeled_by, labeled_at, confidence, confirmed, shape::text AS shape,
           attributes::text AS attributes, model_id
    FROM annotation WHERE sample_id = ANY(:samples::bigint[]) AND since <= :revision
    UNION ALL
    SELECT id, sample_id, label_id, labeled_by, labeled_at, confidence, confirmed, shape::text, attributes::text, model_id
    FROM annotation_past WHERE sample_id = ANY(:samples::bigint[]) AND since <= :revision AND until > :revision
) AS every ORDER BY label_id, id

-- name: finish
UPDATE version SET manifest_path = :path WHERE id = :version_id

-- name: look_alikes
-- The first image for training of each group of look-alikes that has one for evaluation or test, too.
SELECT min(path) FILTER (WHERE usage = 'TRAIN') AS path, min(path) FILTER (WHERE usage IN ('EVAL', 'TEST')) AS other
FROM (
    SELECT look_hash.group2 AS looks, every.path, coalesce(
        aside.usage, CASE WHEN version.is_split THEN 'TRAIN' END, every.usage, 'TRAIN') AS usage
    FROM look_hash JOIN look ON look.dataset_id = look_hash.dataset_id AND look.hash = look_hash.hash
    JOIN (
        SELECT id, source_id, path, state, usage FROM sample WHERE since <= :revision
        UNION ALL
        SELECT id, source_id, path, state, usage FROM sample_past_published
        WHERE since <= :revision AND until > :revision
    ) AS every ON every.source_id = look.source_id
    JOIN version ON version.id = :version_id
    LEFT JOIN version_eval aside ON aside.version_id = :version_id AND aside.sample_id = every.id
    WHERE look_hash.dataset_id = :dataset_id AND look_hash.is_shared AND every.state = 'LABELED'
) AS labelled
GROUP BY looks HAVING bool_or(usage = 'TRAIN') AND bool_or(usage IN ('EVAL', 'TEST'))
ORDER BY path LIMIT :most
