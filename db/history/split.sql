-- name: labelled
-- The labelled samples of a revision: the key of no labels is 0, and an index has it, but not the state.
-- example: revision = 1
SELECT id, path, label_ids, labels_key, usage FROM sample
WHERE dataset_id = :dataset_id AND labels_key <> 0 AND since <= {revision}
UNION ALL
SELECT id, path, label_ids, labels_key, usage FROM sample_past_published
WHERE dataset_id = :dataset_id AND labels_key <> 0 AND since <= {revision} AND until > {revision}

-- name: aside
-- What the kept version put aside; without a split, what its samples were for by themselves.
-- example: kept = SELECT 1 AS id, '' AS usage
SELECT sample_id AS id, usage FROM version_eval WHERE version_id = :kept_id
UNION ALL
SELECT id, usage FROM ({kept}) kept
WHERE usage IN ('EVAL', 'TEST') AND NOT (SELECT is_split FROM version WHERE id = :kept_id)

-- name: samples
-- `key` is of the labels, which are compared only where it is a hash: if it is negative.
-- example: labelled = SELECT 1 AS id, '' AS path, ARRAY[]::bigint[] AS label_ids, 0::bigint AS labels_key
SELECT id, path AS name, label_ids AS labels, labels_key AS key, 1 AS size, NULL::text AS kept, false AS was_training
FROM ({labelled}) labelled

-- name: samples_since
-- With what they were for in the kept version.
-- example: labelled = SELECT 1 AS id, '' AS path, ARRAY[]::bigint[] AS label_ids, 0::bigint AS labels_key; aside = SELECT 1 AS id, '' AS usage; kept = SELECT 1 AS id
SELECT labelled.id, labelled.path AS name, labelled.label_ids AS labels, labelled.labels_key AS key, 1 AS size,
       aside.usage AS kept, kept.id IS NOT NULL AS was_training
FROM ({labelled}) labelled
LEFT JOIN ({aside}) aside ON aside.id = labelled.id
LEFT JOIN ({kept}) kept ON kept.id = labelled.id

-- name: directories
-- Their samples stay together, those that were put aside with the others. `labels` are those of any.
-- example: samples = SELECT 1 AS id, '' AS name, ARRAY[]::bigint[] AS labels, '' AS kept, false AS was_training
WITH part AS (
    SELECT regexp_replace(name, '[^/]*$', '') AS name, labels, count(*) AS size, bool_or(was_training) AS was_training,
           count(*) FILTER (WHERE kept = 'EVAL') AS evals, count(*) FILTER (WHERE kept = 'TEST') AS tests
    FROM ({samples}) s GROUP BY 1, 2
)
SELECT 0 AS id, name, labels, labels_key(labels) AS key, size,
       CASE WHEN evals + tests > 0 THEN CASE WHEN tests > evals THEN 'TEST' ELSE 'EVAL' END END AS kept, was_training
FROM (SELECT name, sum(size)::integer AS size, sum(evals) AS evals, sum(tests) AS tests,
             bool_or(was_training) AS was_training FROM part GROUP BY name) directory
JOIN (SELECT name, array_agg(DISTINCT label_id ORDER BY label_id) AS labels
      FROM part, unnest(labels) label_id GROUP BY name) labels USING (name)

-- name: strata
-- example: units = SELECT ARRAY[]::bigint[] AS labels, 0::bigint AS key, 1 AS size, '' AS kept
SELECT key, labels::text AS labels, size, count(*) AS units, count(*) FILTER (WHERE kept = 'EVAL') AS kept_eval,
       count(*) FILTER (WHERE kept = 'TEST') AS kept_test
FROM (SELECT key, CASE WHEN key < 0 THEN labels END AS labels, size, kept FROM ({units}) unit) unit
GROUP BY key, labels, size

-- name: strata_by_keys
-- The same where no key is negative. Of samples, an index is all that is read.
-- example: units = SELECT 0::bigint AS key, 1 AS size, '' AS kept
SELECT key, NULL AS labels, size, count(*) AS units, count(*) FILTER (WHERE kept = 'EVAL') AS kept_eval,
       count(*) FILTER (WHERE kept = 'TEST') AS kept_test
FROM ({units}) unit GROUP BY key, size

-- name: drawn
-- What is put aside of each stratum: what was before, then the first units, in an order that the seed and their names
-- give; last those that were for training in the kept version. Only units whose hashes are below a limit are put in
-- order.
-- example: units = SELECT 1 AS id, '' AS name, ARRAY[]::bigint[] AS labels, 0::bigint AS key, 1 AS size, '' AS kept, false AS was_training
SELECT id, name, coalesce(kept, CASE WHEN place <= evals THEN 'EVAL' ELSE 'TEST' END) AS usage
FROM (SELECT id, name, kept, evals, tests,
             row_number() OVER (PARTITION BY number, kept ORDER BY was_training, hash) AS place
      FROM (SELECT id, name, kept, was_training, evals, tests, number, below,
                   md5(:seed || ':' || name) COLLATE "C" AS hash
            FROM ({units}) unit
            JOIN (SELECT key, labels::bigint[] AS labels, size, evals, tests, below, number
                  FROM unnest(:keys::bigint[], :labels::text[], :sizes::integer[], :evals::bigint[], :tests::bigint[],
                              :below::text[]) WITH ORDINALITY
                       AS given (key, labels, size, evals, tests, below, number) OFFSET 0) stratum
                ON stratum.key = unit.key AND stratum.size = unit.size
               AND (unit.key >= 0 OR stratum.labels = unit.labels)
            OFFSET 0) hashed
      WHERE kept IS NOT NULL OR hash < below) placed
WHERE place <= evals + tests OR kept IS NOT NULL

-- name: write_samples
-- In the order of the key, so that its index grows at its end.
-- example: drawn = SELECT 1 AS id, '' AS usage
INSERT INTO version_eval (version_id, sample_id, dataset_id, usage)
SELECT :version_id, id, :dataset_id, usage FROM ({drawn}) drawn ORDER BY id

-- name: write_directories
-- example: samples = SELECT 1 AS id, '' AS name; drawn = SELECT '' AS name, '' AS usage
INSERT INTO version_eval (version_id, sample_id, dataset_id, usage)
SELECT :version_id, s.id, :dataset_id, drawn.usage
FROM ({samples}) s JOIN ({drawn}) drawn ON drawn.name = regexp_replace(s.name, '[^/]*$', '') ORDER BY s.id

-- name: write_unlabelled
-- Samples that were put aside and have no labels now, for the next version that keeps from this one.
-- example: aside = SELECT 1 AS id, '' AS usage
INSERT INTO version_eval (version_id, sample_id, dataset_id, usage)
SELECT :version_id, id, :dataset_id, usage FROM ({aside}) aside
ON CONFLICT (version_id, sample_id) DO NOTHING

-- name: label_names
SELECT label_id, name FROM version_label WHERE version_id = :version_id ORDER BY label_id
