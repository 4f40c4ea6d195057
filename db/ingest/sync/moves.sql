-- name: movable
-- Whether anything has left its path, or may have.
SELECT EXISTS (SELECT FROM sync_item WHERE job_id = $1 AND (action = 'CHANGED' OR action = 'VANISHED' AND NOT settled))

-- name: to_inspect
SELECT item.position, item.action, item.path, item.size, item.modified_at, item.etag, item.source_id,
       item.sidecar_path, item.sidecar_etag, NULL AS width, NULL AS height, NULL AS orientation, item.sidecar_due,
       0 AS annotations, NULL AS image, false AS moved
FROM sync_item item
WHERE item.job_id = $1 AND item.position > $2 AND item.position <= $3 AND inspect_first
ORDER BY item.position LIMIT $4

-- name: inspected
UPDATE sync_item SET image = new.image::jsonb, size = new.size, modified_at = new.modified_at,
                     changed_at = new.changed_at, content = new.content, pixels = new.pixels
FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[])
     AS new (position, image, size, modified_at, changed_at, content, pixels)
WHERE job_id = $1 AND sync_item.position = new.position

-- name: origin_table
-- Sources whose content is not at their path any more. `content` is null where it can be no move.
CREATE TEMP TABLE IF NOT EXISTS sync_origin (
    source_id bigint PRIMARY KEY, position bigint, vanished boolean, has_sample boolean, path text COLLATE "C",
    name text COLLATE "C", content text, size bigint, pixels text
) ON COMMIT DELETE ROWS

-- name: target_table
-- Files that are new, or have another content than before. `occupant_id`: the source that was known at the path.
-- `origin_id`: the source whose content this is; `is_same`: to the last byte. `copy_of`: where the content is, too.
CREATE TEMP TABLE IF NOT EXISTS sync_target (
    position bigint PRIMARY KEY, path text COLLATE "C", name text COLLATE "C", content text, size bigint, pixels text,
    occupant_id bigint, origin_id bigint, is_same boolean, copy_of text COLLATE "C"
) ON COMMIT DELETE ROWS

-- name: find_origins
-- A content that is the same at the same path has not moved; nor has an image whose metadata alone was rewritten.
INSERT INTO sync_origin
SELECT i.source_id, i.position, i.action = 'VANISHED', sample.id IS NOT NULL, source.path,
       substring(source.path FROM '[^/]*$'),
       CASE WHEN source.status = 'PRESENT' OR sample.id IS NOT NULL THEN i.old_content END, i.old_size,
       CASE WHEN source.status = 'PRESENT' OR sample.id IS NOT NULL THEN i.old_pixels END
FROM sync_item i JOIN source ON source.id = i.source_id LEFT JOIN sample ON sample.source_id = source.id
WHERE i.job_id = $1 AND (source.status <> 'GONE' OR sample.id IS NOT NULL)
  AND CASE i.action
      WHEN 'VANISHED' THEN NOT i.settled
      WHEN 'CHANGED' THEN i.image ->> 'outcome' = 'gone'
          OR i.content IS NOT NULL AND i.etag IS DISTINCT FROM source.etag
             AND (i.content, i.size) IS DISTINCT FROM (i.old_content, i.old_size)
             AND (i.pixels IS NULL OR i.pixels IS DISTINCT FROM i.old_pixels) END

-- name: find_targets
INSERT INTO sync_target (position, path, name, content, size, pixels, occupant_id)
SELECT i.position, i.path, substring(i.path FROM '[^/]*$'), i.content, i.size, i.pixels, i.source_id
FROM sync_item i
WHERE i.job_id = $1 AND i.content IS NOT NULL AND coalesce(i.image ->> 'outcome', 'read') = 'read'
  AND CASE i.action
      WHEN 'NEW' THEN
          NOT EXISTS (SELECT FROM source s WHERE s.dataset_id = $2 AND s.path = i.path AND s.status <> 'GONE')
          AND NOT EXISTS (SELECT FROM sample s WHERE s.dataset_id = $2 AND s.path = i.path)
      WHEN 'CHANGED' THEN EXISTS (SELECT FROM sync_origin o WHERE o.source_id = i.source_id) END
  AND NOT EXISTS (SELECT FROM source_deletion d
                  WHERE d.dataset_id = $2 AND d.path = i.path AND d.finished_at IS NULL)

-- name: match
-- The n-th content of a kind, by path, has moved to the n-th path where that kind turned up, by path.
-- example: keys = content, size; key = content
WITH origin AS (
    SELECT source_id, {keys}, row_number() OVER (PARTITION BY {keys} ORDER BY path) AS n FROM sync_origin o
    WHERE {key} IS NOT NULL AND NOT EXISTS (SELECT FROM sync_target t WHERE t.origin_id = o.source_id)
), target AS (
    SELECT position, {keys}, row_number() OVER (PARTITION BY {keys} ORDER BY path) AS n FROM sync_target
    WHERE {key} IS NOT NULL AND origin_id IS NULL
)
UPDATE sync_target SET origin_id = found.source_id, is_same = $1
FROM (SELECT source_id, position FROM origin JOIN target USING ({keys}, n)) found
WHERE sync_target.position = found.position

-- name: find_copies
-- example: keys = content, size
UPDATE sync_target SET copy_of = found.path
FROM (SELECT t.position, min(k.path) AS path
      FROM sync_target t
      JOIN (SELECT id, path, size, pixel_hash AS pixels,
                   coalesce(content_hash, CASE WHEN length(etag) = 32 THEN etag END) AS content
            FROM source
            WHERE dataset_id = $1 AND (status = 'PRESENT' OR EXISTS (SELECT FROM sample WHERE source_id = source.id))
           ) k USING ({keys})
      WHERE t.origin_id IS NULL AND t.occupant_id <> k.id
      GROUP BY t.position) found
WHERE sync_target.position = found.position AND copy_of IS NULL

-- name: any_unsure
-- Whether a file that cannot be read just now may be what another has displaced.
SELECT EXISTS (
    SELECT FROM sync_target t JOIN sync_origin o ON o.source_id = t.occupant_id
    JOIN sync_item r ON r.job_id = $1 AND r.image ->> 'outcome' = 'refused' AND r.size = o.size
        AND (r.content IS NULL OR r.content = o.content)
    WHERE o.has_sample AND (t.origin_id IS NOT NULL OR t.copy_of IS NOT NULL)
      AND NOT EXISTS (SELECT FROM sync_target m WHERE m.origin_id = o.source_id))

-- name: postpone
-- Files whose samples would replace others at their paths, and the files of these.
UPDATE sync_item SET action = CASE action WHEN 'VANISHED' THEN action ELSE 'DONE' END, settled = true
WHERE job_id = $1 AND action IN ('CHANGED', 'VANISHED')
  AND position IN (SELECT position FROM sync_target
                   WHERE occupant_id IS NOT NULL AND (origin_id IS NOT NULL OR copy_of IS NOT NULL)
                   UNION ALL
                   SELECT o.position FROM sync_target t JOIN sync_origin o ON o.source_id = t.origin_id
                   WHERE t.occupant_id IS NOT NULL)

-- name: postponed
SELECT path, count(*) OVER () AS postponed FROM sync_item
WHERE job_id = $1 AND action = 'DONE' AND settled ORDER BY path LIMIT 10000

-- name: forget_postponed
DELETE FROM sync_target WHERE occupant_id IS NOT NULL

-- name: spare
-- What has vanished may be a file that cannot be read just now: it stays until the next sync can read it.
UPDATE sync_item v SET settled = true
WHERE v.job_id = $1 AND v.action = 'VANISHED' AND NOT v.settled
  AND NOT EXISTS (SELECT FROM sync_target t WHERE t.origin_id = v.source_id)
  AND EXISTS (SELECT FROM sync_item r
              WHERE r.job_id = $1 AND r.image ->> 'outcome' = 'refused' AND r.size = v.old_size
                AND (r.content IS NULL OR r.content = v.old_content))

-- name: losses
-- How many samples go: those whose path was taken, and, with $3, those whose files have vanished.
SELECT count(*) AS removed, (SELECT total FROM dataset WHERE id = $2) AS samples
FROM sync_origin o JOIN sync_item i ON i.job_id = $1 AND i.position = o.position
LEFT JOIN sync_target found ON found.origin_id = o.source_id
LEFT JOIN sync_target taken ON taken.occupant_id = o.source_id
    AND (taken.origin_id IS NOT NULL OR taken.copy_of IS NOT NULL)
WHERE o.has_sample AND found.position IS NULL
  AND ($3::boolean AND o.vanished AND NOT i.settled OR taken.position IS NOT NULL)

-- name: effects
-- Samples that move, and samples that they displace.
SELECT count(*) FILTER (WHERE found.position IS NOT NULL) AS moved,
       count(*) FILTER (WHERE found.position IS NULL AND taken.position IS NOT NULL) AS removed
FROM sync_origin o
LEFT JOIN sync_target found ON found.origin_id = o.source_id
LEFT JOIN sync_target taken ON taken.occupant_id = o.source_id
    AND (taken.origin_id IS NOT NULL OR taken.copy_of IS NOT NULL)
WHERE o.has_sample

-- name: first_moved
SELECT t.path, o.path AS former FROM sync_target t JOIN sync_origin o ON o.source_id = t.origin_id
WHERE o.has_sample ORDER BY t.path LIMIT $1

-- name: first_displaced
SELECT o.path, NULL AS former
FROM sync_target t JOIN sync_origin o ON o.source_id = t.occupant_id
WHERE o.has_sample AND (t.origin_id IS NOT NULL OR t.copy_of IS NOT NULL)
  AND NOT EXISTS (SELECT FROM sync_target found WHERE found.origin_id = o.source_id)
ORDER BY o.path LIMIT $1

-- name: copies
SELECT t.path, t.copy_of, found.position IS NOT NULL AS moved
FROM sync_target t JOIN sync_origin o ON o.source_id = t.occupant_id
LEFT JOIN sync_target found ON found.origin_id = o.source_id
WHERE t.copy_of IS NOT NULL AND o.has_sample ORDER BY t.path LIMIT 10000

-- name: unannotate_replaced
DELETE FROM annotation a
USING sample s
JOIN sync_target t ON s.dataset_id = $1 AND s.path = t.path AND (t.origin_id IS NOT NULL OR t.copy_of IS NOT NULL)
WHERE a.sample_id = s.id AND NOT EXISTS (SELECT FROM sync_target m WHERE m.origin_id = s.source_id)

-- name: remove_replaced
DELETE FROM sample s USING sync_target t
WHERE s.dataset_id = $1 AND s.path = t.path AND (t.origin_id IS NOT NULL OR t.copy_of IS NOT NULL)
  AND NOT EXISTS (SELECT FROM sync_target m WHERE m.origin_id = s.source_id)

-- name: vacate_sources
-- No path has two sources, not even for the time of a statement. What moves comes back in the next one.
UPDATE source SET status = 'GONE' FROM sync_target t
WHERE source.dataset_id = $1 AND source.path = t.path AND source.status <> 'GONE'
  AND (t.origin_id IS NOT NULL OR t.copy_of IS NOT NULL)

-- name: end_rewritten_sources
UPDATE source SET status = 'GONE' FROM sync_target t
WHERE source.id = t.origin_id AND NOT t.is_same AND source.status <> 'GONE'

-- name: move_sources
UPDATE source SET path = t.path, status = 'PRESENT', modified_at = i.modified_at, changed_at = i.changed_at,
                  etag = coalesce(i.image ->> 'etag', i.etag, source.etag),
                  content_hash = nullif(i.content, coalesce(i.image ->> 'etag', i.etag, source.etag))
FROM sync_target t JOIN sync_item i ON i.job_id = $1 AND i.position = t.position
WHERE source.id = t.origin_id AND t.is_same

-- name: make_rewritten
-- Of an image whose metadata was rewritten: another file, of which versions know the former.
INSERT INTO source (dataset_id, path, etag, size, modified_at, changed_at, content_hash, pixel_hash, format, width,
                    height, orientation, damaged, sidecar_etag)
SELECT before.dataset_id, t.path, i.image ->> 'etag', i.size, i.modified_at, i.changed_at,
       nullif(i.content, i.image ->> 'etag'), i.pixels, i.image -> 'facts' ->> 'format',
       (i.image -> 'facts' ->> 'width')::int, (i.image -> 'facts' ->> 'height')::int,
       (i.image -> 'facts' ->> 'orientation')::smallint, coalesce((i.image -> 'facts' ->> 'damaged')::boolean, false),
       before.sidecar_etag
FROM sync_target t JOIN sync_item i ON i.job_id = $1 AND i.position = t.position
JOIN source before ON before.id = t.origin_id
WHERE NOT t.is_same

-- name: vacate_samples
-- Under paths that no object can have, within this transaction alone. History keeps the path before, since `since`
-- moves on here and not in the next statement.
UPDATE sample SET path = '/' || sample.id, since = $1
FROM sync_target t
WHERE sample.source_id = t.origin_id AND sample.path IN (SELECT path FROM sync_target WHERE origin_id IS NOT NULL)

-- name: move_samples
UPDATE sample SET path = t.path, source_id = source.id, since = $2
FROM sync_target t JOIN source ON source.dataset_id = $1 AND source.path = t.path AND source.status <> 'GONE'
WHERE sample.source_id = t.origin_id

-- name: point_to_rewritten
UPDATE sync_item SET source_id = made.id
FROM sync_target t JOIN source made ON made.dataset_id = $2 AND made.path = t.path AND made.status <> 'GONE'
WHERE NOT t.is_same AND job_id = $1 AND sync_item.position = t.position

-- name: note_sidecars
-- As `finish_moved` found.
UPDATE source SET sidecar_etag = i.sidecar_etag
FROM sync_target t JOIN sync_item i ON i.job_id = $1 AND i.position = t.position
JOIN source occupant ON occupant.id = t.occupant_id
WHERE t.origin_id IS NOT NULL AND source.dataset_id = $2 AND source.path = t.path AND source.status <> 'GONE'
  AND i.sidecar_etag = occupant.sidecar_etag AND i.sidecar_etag IS DISTINCT FROM source.sidecar_etag

-- name: finish_moved
-- What is left to do about what moves: label files that are new to it, and bringing back what was removed here. A label
-- file that lay at the path before, unchanged, is about the image that was there before.
-- $2: label files overwrite people, $3: what was removed is restored.
UPDATE sync_item SET source_id = now.source_id, sidecar_due = now.due, moved = true,
                     action = CASE WHEN now.restored THEN 'RESTORED' WHEN now.due THEN 'SIDECAR' ELSE 'DONE' END
FROM (SELECT t.position, source.id AS source_id, sample.id IS NULL AND $3::boolean AS restored,
             i.sidecar_path IS NOT NULL
             AND CASE WHEN sample.id IS NULL THEN $3
                      WHEN $2::boolean THEN i.sidecar_etag <> source.sidecar_etag OR source.sidecar_etag IS NULL
                                         OR sample.labeled_origin <> 'SYNC'
                      ELSE coalesce(sample.labeled_origin, 'SYNC') = 'SYNC'
                           AND i.sidecar_etag IS DISTINCT FROM source.sidecar_etag
                           AND i.sidecar_etag IS DISTINCT FROM occupant.sidecar_etag END IS TRUE AS due
      FROM sync_target t JOIN sync_item i ON i.job_id = $1 AND i.position = t.position
      JOIN source ON source.id = t.origin_id
      LEFT JOIN source occupant ON occupant.id = t.occupant_id
      LEFT JOIN sample ON sample.source_id = source.id) now
WHERE job_id = $1 AND sync_item.position = now.position

-- name: finish_vanished
UPDATE sync_item SET settled = true
WHERE job_id = $1 AND action = 'VANISHED' AND source_id IN (SELECT origin_id FROM sync_target)

-- name: finish_replaced
-- Files at paths that their samples have left.
UPDATE sync_item SET action = 'NEW', source_id = NULL, sidecar_due = sidecar_path IS NOT NULL
WHERE job_id = $1 AND action = 'CHANGED'
  AND position IN (SELECT position FROM sync_target WHERE copy_of IS NOT NULL
                   UNION ALL
                   SELECT o.position FROM sync_target t JOIN sync_origin o ON o.source_id = t.origin_id)
