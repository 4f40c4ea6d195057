-- name: lock_free
-- One row: the labels and samples that are locked now, and in `busy` the samples that others have locked, which are
-- looked for only if some are missing.
WITH used AS MATERIALIZED (
    SELECT id, name FROM label
    WHERE dataset_id = :dataset_id AND (name = ANY(:names::text[]) OR id = ANY(:label_ids::bigint[]))
    ORDER BY id FOR KEY SHARE SKIP LOCKED
), locked AS MATERIALIZED (
    SELECT id FROM sample WHERE dataset_id = :dataset_id AND id = ANY((SELECT :ids::bigint[])::bigint[])
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
SELECT ARRAY(SELECT name FROM used ORDER BY id) AS names, ARRAY(SELECT id FROM used ORDER BY id) AS label_ids,
       ARRAY(SELECT id FROM locked) AS ids,
       CASE WHEN (SELECT count(*) FROM locked) < cardinality(:ids::bigint[]) THEN
            ARRAY(SELECT id FROM sample WHERE dataset_id = :dataset_id AND id = ANY((SELECT :ids::bigint[])::bigint[])
                  EXCEPT SELECT id FROM locked)
            ELSE '{}' END AS busy
