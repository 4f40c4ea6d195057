-- name: lock_samples
SELECT id FROM sample WHERE source_id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: known
SELECT source.id AS source_id, source.path, source.status, source.etag, source.size, source.sidecar_etag,
       coalesce(source.content_hash, CASE WHEN length(source.etag) = 32 THEN source.etag END) AS content,
       source.width, source.height, source.orientation, sample.id AS sample_id, sample.labeled_origin, sample.hard
FROM source LEFT JOIN sample ON sample.source_id = source.id
WHERE source.id = ANY($1::bigint[])

-- name: marks
SELECT sample.source_id, a.id, a.label_id, a.shape::text AS shape, a.confidence, a.attributes::text AS attributes
FROM sample JOIN annotation a ON a.sample_id = sample.id
WHERE sample.source_id = ANY($1::bigint[]) AND a.confirmed
ORDER BY a.id

-- name: labels
SELECT id, name FROM label WHERE dataset_id = $1 AND name = ANY($2::text[]) ORDER BY id FOR KEY SHARE

-- name: make_labels
-- Safe without ON CONFLICT: whoever makes labels holds the dataset's row, as we do here.
INSERT INTO label (dataset_id, name, since)
SELECT $1, wanted, $3 FROM unnest($2::text[]) wanted
WHERE NOT EXISTS (SELECT FROM label WHERE dataset_id = $1 AND name = wanted)
ORDER BY wanted

-- name: leaving
SELECT path FROM source_deletion WHERE dataset_id = $1 AND path = ANY($2::text[]) AND finished_at IS NULL

-- name: let_go
UPDATE source SET status = 'GONE' WHERE id = ANY($1::bigint[]) AND status <> 'GONE'

-- name: make_sources
INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height, orientation, damaged, status,
                    sidecar_etag, content_hash, pixel_hash, changed_at)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[], $7::int[], $8::int[],
                         $9::smallint[], $10::boolean[], $11::text[], $12::text[], $13::text[], $14::text[],
                         $15::timestamptz[])
ON CONFLICT (dataset_id, path) WHERE status <> 'GONE' DO NOTHING
RETURNING id, path

-- name: replace
UPDATE sample SET source_id = new.source_id, since = $1
FROM unnest($2::bigint[], $3::bigint[]) AS new (sample_id, source_id)
WHERE sample.id = new.sample_id

-- name: touch_sources
UPDATE source SET modified_at = new.modified_at, changed_at = new.changed_at, etag = new.etag,
                  content_hash = nullif(coalesce(new.content, source.content_hash), new.etag),
                  pixel_hash = coalesce(new.pixels, source.pixel_hash),
                  status = CASE WHEN status <> 'GONE' THEN status
                                WHEN EXISTS (SELECT FROM source other WHERE other.dataset_id = source.dataset_id
                                             AND other.path = source.path AND other.status <> 'GONE') THEN 'GONE'
                                ELSE 'PRESENT' END
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
     AS new (id, modified_at, changed_at, etag, content, pixels)
WHERE source.id = new.id

-- name: paths
SELECT id, path FROM source WHERE id = ANY($1::bigint[]) ORDER BY path

-- name: make_samples
INSERT INTO sample (dataset_id, source_id, path, created_at, state, label_ids, labeled_by, labeled_at, labeled_origin, hard, since)
SELECT $1, source.id, source.path, source.modified_at,
       CASE WHEN new.labeled THEN 'LABELED' ELSE 'UNLABELED' END, new.label_ids,
       CASE WHEN new.labeled THEN $3 END, CASE WHEN new.labeled THEN now() END,
       CASE WHEN new.labeled THEN 'SYNC' END, new.hard, $2
FROM (SELECT source_id, label_ids::bigint[] AS label_ids, label_ids <> '{}' AS labeled, hard, n
      FROM unnest($4::bigint[], $5::text[], $6::boolean[]) WITH ORDINALITY AS given (source_id, label_ids, hard, n)) new
JOIN source ON source.id = new.source_id
ORDER BY new.n
ON CONFLICT DO NOTHING
RETURNING id, path

-- name: unmark
DELETE FROM annotation WHERE id = ANY($1::bigint[])

-- name: mark
-- What a machine suggested of a whole image is confirmed.
INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, shape, confidence, attributes, since)
SELECT $1, sample_id, label_id, $3, now(), 'SYNC', shape::jsonb, confidence, attributes::jsonb, $2
FROM unnest($4::bigint[], $5::bigint[], $6::text[], $7::float8[], $8::text[])
     WITH ORDINALITY AS new (sample_id, label_id, shape, confidence, attributes, n)
ORDER BY n
ON CONFLICT (sample_id, label_id) WHERE shape IS NULL DO UPDATE
SET confirmed = true, labeled_by = excluded.labeled_by, labeled_at = excluded.labeled_at, origin = excluded.origin,
    since = excluded.since
WHERE NOT annotation.confirmed

-- name: restate
-- The derived columns of samples whose annotations changed.
UPDATE sample SET label_ids = now_has.label_ids, since = $2, labeled_origin = 'SYNC', hard = coalesce(now_has.says_hard, hard),
                  state = CASE WHEN now_has.labeled THEN 'LABELED' WHEN now_has.suggested THEN 'PENDING' ELSE 'UNLABELED' END,
                  labeled_by = CASE WHEN now_has.labeled THEN $3 END,
                  labeled_at = CASE WHEN now_has.labeled THEN now() END
FROM (SELECT s.id, bool_or(told.hard) AS says_hard, coalesce(array_agg(DISTINCT a.label_id ORDER BY a.label_id) FILTER (WHERE a.confirmed), '{}') AS label_ids,
             coalesce(bool_or(a.confirmed), false) AS labeled, coalesce(bool_or(NOT a.confirmed), false) AS suggested
      FROM unnest($1::bigint[], $4::boolean[]) AS told (id, hard) JOIN sample s USING (id)
      LEFT JOIN annotation a ON a.sample_id = s.id GROUP BY s.id) now_has
WHERE sample.id = now_has.id

-- name: shapes_outside
-- How many shapes of samples reach beyond their images, if any.
SELECT sample.path, source.width, source.height, count(*) AS shapes
FROM sample JOIN source ON source.id = sample.source_id JOIN annotation a ON a.sample_id = sample.id
WHERE sample.id = ANY($1::bigint[])
  AND jsonb_path_exists(a.shape, '$ ? (@.xMax > $w || @.yMax > $h || @.position.x > $w || @.position.y > $h
                                       || @.center.x + @.radius > $w || @.center.y + @.radius > $h
                                       || exists (@.points[*] ? (@.x > $w || @.y > $h)))',
                        jsonb_build_object('w', source.width, 'h', source.height))
GROUP BY sample.id, source.id ORDER BY sample.path

-- name: sidecars
UPDATE source SET sidecar_etag = new.etag
FROM unnest($1::bigint[], $2::text[]) AS new (id, etag)
WHERE source.id = new.id
