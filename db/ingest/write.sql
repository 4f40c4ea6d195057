-- name: labels
SELECT id, name FROM label WHERE dataset_id = :dataset_id AND name = ANY(:names::text[]) ORDER BY id FOR KEY SHARE

-- name: make_labels
-- Safe without ON CONFLICT: whoever makes labels locks the dataset's row, as we do here.
INSERT INTO label (dataset_id, name, color, shortcut, since)
SELECT :dataset_id, new.name, new.color,
       CASE WHEN NOT EXISTS (SELECT FROM label WHERE dataset_id = :dataset_id AND shortcut = new.shortcut)
            THEN new.shortcut END, :since
FROM unnest(:names::text[], :colors::text[], :shortcuts::text[]) AS new (name, color, shortcut)
WHERE NOT EXISTS (SELECT FROM label WHERE dataset_id = :dataset_id AND label.name = new.name)
ORDER BY new.name

-- name: end_sources
UPDATE source SET status = 'GONE' WHERE id = ANY(:ids::bigint[]) AND status <> 'GONE'

-- name: make_sources
-- A path that another writer has just given to a source is left out.
INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height, orientation, damaged, status,
                    sidecar_etag, content_hash, pixel_hash, changed_at)
SELECT :dataset_id, * FROM json_to_recordset(:rows::text::json) AS new (
    path text, etag text, size bigint, modified_at timestamptz, format text, width int, height int,
    orientation smallint, damaged boolean, status text, sidecar_etag text, content_hash text, pixel_hash text,
    changed_at timestamptz)
ON CONFLICT (dataset_id, path) WHERE status <> 'GONE' DO NOTHING
RETURNING id, path

-- name: touch_sources
UPDATE source SET modified_at = new.modified_at, changed_at = new.changed_at, etag = new.etag,
                  content_hash = nullif(coalesce(new.content, source.content_hash), new.etag),
                  pixel_hash = coalesce(new.pixels, source.pixel_hash),
                  status = CASE WHEN status <> 'GONE' THEN status
                                WHEN EXISTS (SELECT FROM source other WHERE other.dataset_id = source.dataset_id
                                             AND other.path = source.path AND other.status <> 'GONE') THEN 'GONE'
                                ELSE 'PRESENT' END
FROM unnest(:ids::bigint[], :times::timestamptz[], :change_times::timestamptz[], :etags::text[], :contents::text[],
            :pixels::text[]) AS new (id, modified_at, changed_at, etag, content, pixels)
WHERE source.id = new.id

-- name: write_sidecar_etags
UPDATE source SET sidecar_etag = new.etag
FROM unnest(:ids::bigint[], :etags::text[]) AS new (id, etag)
WHERE source.id = new.id

-- name: replace_sources
UPDATE sample SET source_id = new.source_id, since = :since
FROM unnest(:samples::bigint[], :sources::bigint[]) AS new (sample_id, source_id)
WHERE sample.id = new.sample_id

-- name: make_samples
INSERT INTO sample (dataset_id, source_id, path, created_at, state, label_ids, labeled_by, labeled_at, labeled_origin,
                    hard, usage, since)
SELECT source.dataset_id, source.id, source.path, source.modified_at,
       sample_state(new.label_ids, new.suggested), new.label_ids, new.labeled_by,
       CASE WHEN new.label_ids <> '{}' THEN coalesce(new.labeled_at, now()) END,
       CASE WHEN new.label_ids <> '{}' THEN :origin::text END, new.hard, new.usage, :since
FROM ROWS FROM (json_to_recordset(:rows::text::json) AS (
         source_id bigint, suggested boolean, label_ids bigint[], labeled_by text, labeled_at timestamptz,
         hard boolean, usage text))
     WITH ORDINALITY AS new (source_id, suggested, label_ids, labeled_by, labeled_at, hard, usage, n)
JOIN source ON source.id = new.source_id
ORDER BY new.n
ON CONFLICT DO NOTHING
RETURNING id, path

-- name: remove_annotations
DELETE FROM annotation WHERE id = ANY(:ids::bigint[])

-- name: annotate
-- What a machine suggested of a whole image is confirmed.
INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, confidence, confirmed, shape,
                        attributes, since)
SELECT :dataset_id, new.sample_id, new.label_id, new.labeled_by, coalesce(new.labeled_at, now()), :origin,
       new.confidence, new.confirmed, new.shape, new.attributes, :since
FROM ROWS FROM (json_to_recordset(:rows::text::json) AS (
         sample_id bigint, label_id bigint, labeled_by text, labeled_at timestamptz, confidence float8,
         confirmed boolean, shape jsonb, attributes jsonb))
     WITH ORDINALITY AS new (sample_id, label_id, labeled_by, labeled_at, confidence, confirmed, shape, attributes, n)
ORDER BY new.n
ON CONFLICT (sample_id, label_id) WHERE shape IS NULL AND (confirmed OR model_id IS NULL) DO UPDATE
SET confirmed = true, labeled_by = excluded.labeled_by, labeled_at = excluded.labeled_at, origin = excluded.origin,
    since = excluded.since
WHERE NOT annotation.confirmed AND excluded.confirmed

-- name: update_facts
UPDATE sample SET hard = coalesce(new.hard, sample.hard), usage = coalesce(new.usage, sample.usage), since = :since
FROM unnest(:samples::bigint[], :hard::boolean[], :usages::text[]) AS new (id, hard, usage)
WHERE sample.id = new.id
