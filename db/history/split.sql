-- name: strata
SELECT label_ids, count(*) AS n
FROM (SELECT label_ids FROM sample WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision
      UNION ALL
      SELECT label_ids FROM sample_past
      WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision AND until > :revision) s
GROUP BY label_ids ORDER BY label_ids

-- name: write
INSERT INTO version_eval (version_id, sample_id, dataset_id)
SELECT :version_id, id, :dataset_id
FROM (SELECT id, label_ids, row_number() OVER (PARTITION BY label_ids ORDER BY md5(:seed || ':' || path), id) AS n
      FROM (SELECT id, path, label_ids FROM sample
            WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision
            UNION ALL
            SELECT id, path, label_ids FROM sample_past
            WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision AND until > :revision) s) drawn
JOIN (SELECT label_ids::bigint[] AS label_ids, n AS count FROM unnest(:sets::text[], :counts::bigint[]) AS t (label_ids, n)) part
    USING (label_ids)
WHERE n <= part.count

-- name: label_names
SELECT name FROM version_label WHERE version_id = :version_id AND label_id = ANY(:ids::bigint[]) ORDER BY label_id
