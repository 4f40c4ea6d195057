-- name: dataset
SELECT type, include, exclude, label_names, image_formats FROM dataset WHERE id = $1

-- name: departed
-- Whether contents are not where they were, as far as is known when the files that may have moved were read.
SELECT EXISTS (SELECT FROM sync_item
               WHERE job_id = $1 AND (action = 'VANISHED' AND NOT settled
                   OR action = 'CHANGED' AND (content, size) IS DISTINCT FROM (old_content, old_size)))

-- name: items
SELECT item.position, item.action, item.path, item.size, item.modified_at, item.etag, item.source_id,
       item.sidecar_path, item.sidecar_etag, source.width, source.height, source.orientation, item.sidecar_due,
       item.image::text AS image, item.moved,
       CASE WHEN sidecar_due THEN (SELECT count(*) FROM sample s JOIN annotation a ON a.sample_id = s.id
                                   WHERE s.source_id = item.source_id) ELSE 0 END AS annotations
FROM sync_item item LEFT JOIN source ON source.id = item.source_id
WHERE item.job_id = $1 AND item.position > $2 AND item.position <= $3 AND item.action <> 'DONE'
ORDER BY item.position LIMIT $4

-- name: lock_vanished
SELECT sample.id FROM sample
WHERE source_id IN (SELECT source_id FROM sync_item WHERE job_id = $1 AND action = 'VANISHED' AND NOT settled)
ORDER BY sample.id FOR NO KEY UPDATE

-- name: remove_annotations
DELETE FROM annotation WHERE sample_id = ANY($1::bigint[])

-- name: remove_samples
DELETE FROM sample WHERE id = ANY($1::bigint[])

-- name: end_vanished_sources
UPDATE source SET status = 'GONE'
WHERE id IN (SELECT source_id FROM sync_item WHERE job_id = $1 AND action = 'VANISHED' AND NOT settled)
  AND status <> 'GONE'

-- name: count_vanished
-- With the first $2 of them.
WITH vanished AS (
    SELECT sample.path FROM sync_item item JOIN sample ON sample.source_id = item.source_id
    WHERE item.job_id = $1 AND item.action = 'VANISHED' AND NOT item.settled
)
SELECT count(*) AS count, ARRAY(SELECT path FROM vanished ORDER BY path LIMIT $2) AS examples FROM vanished

-- name: was_overtaken
-- Whether another job wrote, or may have written, into the dataset since this one began. $1 job, $2 dataset.
SELECT EXISTS (SELECT FROM job other JOIN job dry_run ON dry_run.id = $1
               WHERE other.dataset_id = $2 AND other.kind IN ('SYNC', 'IMPORT') AND NOT other.is_dry_run
                 AND (other.status = 'RUNNING'
                      OR other.started_at IS NOT NULL AND other.finished_at >= dry_run.started_at))

-- name: unchanged
-- How many samples were neither added, updated, moved nor removed. $2: those that a dry run removes in this batch, $3:
-- those that moved and were updated. People add and delete samples meanwhile.
SELECT greatest(0, total - CASE WHEN is_dry_run THEN removed + $2 ELSE added END - updated - moved + $3)
FROM job JOIN dataset ON dataset.id = dataset_id WHERE job.id = $1
