-- name: forget_counts
WITH examples AS (DELETE FROM sync_example WHERE job_id = $1), warnings AS (DELETE FROM job_warning WHERE job_id = $1)
UPDATE job SET added = 0, updated = 0, moved = 0, removed = 0, labeled = 0, skipped = 0 WHERE id = $1

-- name: is_without_sidecars
-- Whether a dataset has files, none of which ever had a sidecar.
SELECT count(*) > 0 AND count(sidecar_etag) = 0 FROM source WHERE dataset_id = $1

-- name: stage_differences
-- Stages the listed images that differ from what is known, as `plan` compares them, and notes the sources of the others.
-- $1 job, $2 dataset; the columns as texts, times in microseconds since 1970. Each image is looked up (OFFSET 0): a join
-- would read all sources of the dataset for every batch.
WITH compared AS MATERIALIZED (
    SELECT o.*, unchanged.id
    FROM (
        SELECT path, size, etag,
               'epoch'::timestamptz + modified / 1000000 * interval '1 second'
                   + modified % 1000000 * interval '1 microsecond' AS modified_at,
               'epoch'::timestamptz + changed / 1000000 * interval '1 second'
                   + changed % 1000000 * interval '1 microsecond' AS changed_at
        FROM ROWS FROM (
            json_array_elements_text($3::text::json), unnest($4::text::bigint[]), unnest($5::text::bigint[]),
            unnest($6::text::bigint[]), json_array_elements_text($7::text::json)
        ) AS listed (path, size, modified, changed, etag)
    ) AS o
    LEFT JOIN LATERAL (
        SELECT source.id FROM source JOIN sample ON sample.source_id = source.id
        WHERE source.dataset_id = $2 AND source.path = o.path AND status = 'PRESENT'
          AND (source.size <> o.size OR source.modified_at <> o.modified_at OR source.changed_at <> o.changed_at
               OR source.etag <> o.etag) IS NOT TRUE
          AND (source.content_hash IS NOT NULL OR length(source.etag) = 32)
        OFFSET 0
    ) AS unchanged ON NOT EXISTS (
        SELECT FROM source_deletion d WHERE d.dataset_id = $2 AND d.path = o.path AND d.finished_at IS NULL)
), noted AS (
    INSERT INTO sync_unchanged (job_id, source_ids)
    SELECT $1, array_agg(id) FROM compared WHERE id IS NOT NULL HAVING count(*) > 0
)
INSERT INTO sync_object (job_id, path, keys, sidecar, size, modified_at, changed_at, etag)
SELECT $1, path, '{}', false, size, modified_at, changed_at, etag FROM compared WHERE id IS NULL

-- name: known_directories
-- Those of the directories in which the dataset knows files; their paths end with a slash. $1 dataset.
SELECT directory FROM unnest($2::text[]) AS given (directory), concat(left(directory, -1), '0') AS after
WHERE EXISTS (SELECT FROM source WHERE dataset_id = $1 AND status <> 'GONE'
              AND path >= directory COLLATE "C" AND path < after COLLATE "C")
   OR EXISTS (SELECT FROM sample WHERE dataset_id = $1
              AND path >= directory COLLATE "C" AND path < after COLLATE "C")

-- name: is_known_between
-- Whether the dataset knows files in one of the ranges of paths, the last of which has no end. $1 dataset.
SELECT EXISTS (
    SELECT FROM unnest($2::text[], $3::text[]) AS range (first, after)
    WHERE EXISTS (SELECT FROM source WHERE dataset_id = $1 AND status <> 'GONE'
                  AND path >= first COLLATE "C" AND (after IS NULL OR path < after COLLATE "C"))
       OR EXISTS (SELECT FROM sample WHERE dataset_id = $1
                  AND path >= first COLLATE "C" AND (after IS NULL OR path < after COLLATE "C")))
