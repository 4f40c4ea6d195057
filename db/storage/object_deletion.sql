-- name: claim
-- Puts the next attempt of each off, so that two who run at once share the work, and a crash is made up for.
UPDATE source_deletion d
SET attempts = attempts + 1, retry_at = now() + least(interval '10 min', interval '30 s' * power(2, least(attempts, 5)))
FROM dataset
WHERE dataset.id = d.dataset_id AND d.id IN (
    SELECT id FROM source_deletion
    WHERE finished_at IS NULL AND id > :after
      AND CASE WHEN :change_id::bigint IS NOT NULL THEN change_id = :change_id
               WHEN :dataset_id::bigint IS NOT NULL THEN dataset_id = :dataset_id
               ELSE retry_at <= now() AND created_at < now() - interval '5 s' END
    ORDER BY id LIMIT :max_items FOR UPDATE SKIP LOCKED)
RETURNING d.id, d.source_id, d.dataset_id, d.path, d.etag, dataset.input_path,
          (SELECT status = 'GONE' FROM source WHERE id = d.source_id) AS gone

-- name: mark_gone
UPDATE source SET status = 'GONE' WHERE id = ANY(:ids::bigint[]) AND status <> 'GONE'

-- name: unused_stems
-- Those that no image has any more. `/` follows `.` in code points, so a stem's files are one range of the index.
SELECT stem FROM unnest(:stems::text[]) stem
WHERE NOT EXISTS (SELECT FROM source WHERE dataset_id = :dataset_id AND status <> 'GONE'
                  AND path >= stem || '.' AND path < stem || '/' AND strpos(substr(path, length(stem) + 2), '.') = 0)

-- name: finish
UPDATE source_deletion d
SET error = result.error, finished_at = CASE WHEN result.final THEN clock_timestamp() END
FROM unnest(:ids::bigint[], :errors::text[], :finals::boolean[]) AS result (id, error, final)
WHERE d.id = result.id

-- name: result
SELECT count(*) FILTER (WHERE error IS NULL AND (finished_at IS NOT NULL OR EXISTS (
           SELECT FROM source WHERE id = source_id AND status = 'GONE'))) AS deleted,
       (SELECT coalesce(array_agg((path, error)), '{}')
        FROM (SELECT path, error FROM source_deletion WHERE change_id = :change_id AND error IS NOT NULL
              ORDER BY id LIMIT :max_failures) failed
       ) AS failures
FROM source_deletion WHERE change_id = :change_id
