-- name: dataset
SELECT type, include, exclude, label_names FROM dataset WHERE id = $1

-- name: departed
-- Whether contents are not where they were, as far as is known when the files that may have moved were read.
SELECT EXISTS (SELECT FROM sync_item
               WHERE job_id = $1 AND (action = 'VANISHED' AND NOT settled
                   OR action = 'CHANGED' AND (content, size) IS DISTINCT FROM (old_content, old_size)))

-- name: items
SELECT item.position, item.action, item.path, item.size, item.modified_at, item.etag, item.source_id,
       item.sidecar_path, item.sidecar_etag, source.width, source.height, source.orientation, item.sidecar_due,
       item.image::text AS image,
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
