-- name: strata
SELECT label_ids, count(*) AS n
FROM (SELECT label_ids FROM sample WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision
      UNION ALL
      SELECT label_ids FROM sample_past_published
      WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision AND until > :revision) s
GROUP BY label_ids ORDER BY label_ids

-- name: write
-- What is put aside of each set of labels: the first of its samples, in an order that the seed and their paths give.
INSERT INTO version_eval (version_id, sample_id, dataset_id)
SELECT :version_id, id, :dataset_id
FROM (SELECT id, count, row_number() OVER (PARTITION BY number ORDER BY md5(:seed || ':' || path)::uuid, id) AS place
      FROM (SELECT id, path, label_ids FROM sample
            WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision
            UNION ALL
            SELECT id, path, label_ids FROM sample_past_published
            WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision AND until > :revision) s
      JOIN (SELECT label_ids::bigint[] AS label_ids, count, number
            FROM unnest(:sets::text[], :counts::bigint[]) WITH ORDINALITY AS given (label_ids, count, number)) part
          USING (label_ids)) drawn
WHERE place <= count

-- name: label_names
SELECT name FROM version_label WHERE version_id = :version_id AND label_id = ANY(:ids::bigint[]) ORDER BY label_id
