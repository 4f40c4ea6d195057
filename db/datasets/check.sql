-- name: datasets
SELECT id, name, input_path, type, include, exclude, label_names, image_formats FROM dataset WHERE deleted_at IS NULL ORDER BY id

-- name: recount
-- Every value that is counted or derived, and differs from the rows that it follows from: the column of the row of a
-- table. One statement sees one state, so it may run while others write.
WITH derived AS MATERIALIZED (
    SELECT s.id, s.label_ids AS stored_label_ids, s.state AS stored_state, s.labeled_by, s.labeled_at, d.label_ids, d.state,
           ROW(s.suggestion_confidence, s.suggestion_margin, s.suggestion_entropy, s.suggestion_disagreement,
               s.suggestion_conflict, s.suggestion_lowest)::text AS stored_sureness,
           ROW(d.suggestion_confidence, d.suggestion_margin, d.suggestion_entropy, d.suggestion_disagreement,
               d.suggestion_conflict, d.suggestion_lowest)::text AS sureness
    FROM sample s CROSS JOIN LATERAL derived_state(s.id) d WHERE s.dataset_id = :dataset_id
), every_sample AS (
    SELECT state, label_ids, since, NULL::bigint AS until FROM sample WHERE dataset_id = :dataset_id
    UNION ALL
    SELECT state, label_ids, since, until FROM sample_past_published WHERE dataset_id = :dataset_id
), published AS MATERIALIZED (
    SELECT v.id AS version_id, s.state, s.label_ids
    FROM version v JOIN every_sample s ON s.since <= v.revision AND (s.until IS NULL OR s.until > v.revision)
    WHERE v.dataset_id = :dataset_id
), every_annotation AS (
    SELECT label_id, confirmed, since, NULL::bigint AS until FROM annotation WHERE dataset_id = :dataset_id
    UNION ALL
    SELECT label_id, confirmed, since, until FROM annotation_past WHERE dataset_id = :dataset_id
), suggestions AS (
    SELECT label_id, model_id, count(*) FILTER (WHERE outcome IS NULL) AS pending,
           count(*) FILTER (WHERE outcome = 'ACCEPTED') AS accepted,
           count(*) FILTER (WHERE outcome = 'REJECTED') AS rejected,
           count(*) FILTER (WHERE outcome = 'CORRECTED') AS corrected
    FROM (SELECT label_id, model_id, CASE WHEN confirmed THEN 'ACCEPTED' END AS outcome
          FROM annotation WHERE dataset_id = :dataset_id AND model_id IS NOT NULL
          UNION ALL SELECT label_id, model_id, outcome FROM verdict WHERE dataset_id = :dataset_id) AS every
    GROUP BY label_id, model_id
), compared AS (
    SELECT 'dataset' AS relation, d.id, NULL::bigint AS label_id, 'the dataset' AS subject, value.*
    FROM dataset d,
        (SELECT count(*) AS total, count(*) FILTER (WHERE state = 'LABELED') AS labeled,
                count(*) FILTER (WHERE state = 'PENDING') AS pending FROM derived) c,
        (SELECT count(*) AS changes FROM change WHERE dataset_id = :dataset_id) h,
        LATERAL (VALUES ('total', d.total::text, c.total::text), ('labeled', d.labeled::text, c.labeled::text),
                        ('pending', d.pending::text, c.pending::text),
                        ('revision', d.revision::text, h.changes::text)) value (name, stored, counted)
    WHERE d.id = :dataset_id
    UNION ALL
    SELECT 'label_count', label.id, NULL, 'label ' || label.name, value.*
    FROM label LEFT JOIN label_count c ON c.label_id = label.id
    LEFT JOIN (SELECT label_id, count(*) AS n FROM derived, unnest(label_ids) label_id GROUP BY label_id) s
        ON s.label_id = label.id
    LEFT JOIN (SELECT label_id, count(*) FILTER (WHERE confirmed) AS n, count(*) FILTER (WHERE NOT confirmed) AS suggested
               FROM annotation WHERE dataset_id = :dataset_id GROUP BY label_id) a ON a.label_id = label.id,
        LATERAL (VALUES ('sample_count', c.sample_count::text, coalesce(s.n, 0)::text),
                        ('annotation_count', c.annotation_count::text, coalesce(a.n, 0)::text),
                        ('suggestion_count', c.suggestion_count::text, coalesce(a.suggested, 0)::text)) value
    WHERE label.dataset_id = :dataset_id
    UNION ALL
    SELECT 'suggestion_count', m.id, label.id, 'model ' || m.name || ' ' || m.version || ' label ' || label.name, value.*
    FROM model m JOIN label ON label.dataset_id = m.dataset_id
    LEFT JOIN suggestion_count c ON c.model_id = m.id AND c.label_id = label.id
    LEFT JOIN suggestions s ON s.model_id = m.id AND s.label_id = label.id,
        LATERAL (VALUES ('pending', coalesce(c.pending, 0)::text, coalesce(s.pending, 0)::text),
                        ('accepted', coalesce(c.accepted, 0)::text, coalesce(s.accepted, 0)::text),
                        ('rejected', coalesce(c.rejected, 0)::text, coalesce(s.rejected, 0)::text),
                        ('corrected', coalesce(c.corrected, 0)::text, coalesce(s.corrected, 0)::text)) value
    WHERE m.dataset_id = :dataset_id
    UNION ALL
    SELECT 'sample', id, NULL, 'sample ' || id, value.*
    FROM (SELECT *, CASE state WHEN 'LABELED' THEN 'set' ELSE 'null' END AS author FROM derived) derived,
        LATERAL (VALUES ('label_ids', stored_label_ids::text, label_ids::text), ('state', stored_state, state),
                        ('sureness', stored_sureness, sureness),
                        ('labeled_by', CASE WHEN labeled_by IS NULL THEN 'null' ELSE 'set' END, author),
                        ('labeled_at', CASE WHEN labeled_at IS NULL THEN 'null' WHEN isfinite(labeled_at) THEN 'set'
                                            ELSE labeled_at::text END, author)) value
    UNION ALL
    SELECT relation, dated.id, NULL, subject, 'labeled_at', labeled_at::text, c.at::text
    FROM (SELECT 'annotation' AS relation, id, 'annotation ' || id AS subject, labeled_at, since
          FROM annotation WHERE dataset_id = :dataset_id
          UNION ALL
          SELECT 'annotation_past', id, 'annotation ' || id || ' since revision ' || since, labeled_at, since
          FROM annotation_past WHERE dataset_id = :dataset_id
          UNION ALL
          SELECT 'sample_past', id, 'sample ' || id || ' since revision ' || since, labeled_at, since
          FROM sample_past WHERE dataset_id = :dataset_id) dated
    JOIN change c ON c.dataset_id = :dataset_id AND c.revision = since
    WHERE NOT isfinite(labeled_at)
    UNION ALL
    SELECT 'version', v.id, NULL, 'version ' || v.name, value.*
    FROM version v
    LEFT JOIN (SELECT version_id, count(*) AS total, count(*) FILTER (WHERE state = 'LABELED') AS labeled,
                      count(*) FILTER (WHERE state = 'PENDING') AS pending
               FROM published GROUP BY version_id) c ON c.version_id = v.id,
        LATERAL (VALUES ('total', v.total::text, coalesce(c.total, 0)::text),
                        ('labeled', v.labeled::text, coalesce(c.labeled, 0)::text),
                        ('pending', v.pending::text, coalesce(c.pending, 0)::text)) value
    WHERE v.dataset_id = :dataset_id
    UNION ALL
    SELECT 'version_label', v.id, l.label_id, 'version ' || v.name || ' label ' || l.name, value.*
    FROM version v JOIN version_label l ON l.version_id = v.id
    LEFT JOIN (SELECT version_id, label_id, count(*) AS n FROM published, unnest(label_ids) label_id
               GROUP BY version_id, label_id) s ON s.version_id = v.id AND s.label_id = l.label_id
    LEFT JOIN (SELECT v.id AS version_id, a.label_id, count(*) FILTER (WHERE confirmed) AS n,
                      count(*) FILTER (WHERE NOT confirmed) AS suggested
               FROM version v JOIN every_annotation a ON a.since <= v.revision AND (a.until IS NULL OR a.until > v.revision)
               WHERE v.dataset_id = :dataset_id
               GROUP BY v.id, a.label_id) a ON a.version_id = v.id AND a.label_id = l.label_id,
        LATERAL (VALUES ('sample_count', l.sample_count::text, coalesce(s.n, 0)::text),
                        ('annotation_count', l.annotation_count::text, coalesce(a.n, 0)::text),
                        ('suggestion_count', l.suggestion_count::text, coalesce(a.suggested, 0)::text)) value
    WHERE v.dataset_id = :dataset_id
)
SELECT relation, id, label_id, subject, name, stored, counted FROM compared
WHERE stored IS DISTINCT FROM counted ORDER BY subject, name LIMIT :limit

-- name: select_wrong_samples
SELECT s.id FROM sample s CROSS JOIN LATERAL derived_state(s.id) d
WHERE s.dataset_id = :dataset_id
  AND (s.label_ids, s.state, s.labeled_by IS NOT NULL, s.labeled_at IS NOT NULL, coalesce(isfinite(s.labeled_at), true),
       s.suggestion_confidence, s.suggestion_margin, s.suggestion_entropy, s.suggestion_disagreement, s.suggestion_conflict,
       s.suggestion_lowest)
      IS DISTINCT FROM (d.label_ids, d.state, d.state = 'LABELED', d.state = 'LABELED', true, d.suggestion_confidence,
                        d.suggestion_margin, d.suggestion_entropy, d.suggestion_disagreement, d.suggestion_conflict,
                        d.suggestion_lowest)

-- name: date
-- Rows of a table that an import dated ±infinity, by the change that wrote them.
-- example: table = annotation
UPDATE {table} dated SET labeled_at = c.at FROM change c
WHERE dated.dataset_id = :dataset_id AND NOT isfinite(dated.labeled_at)
  AND c.dataset_id = :dataset_id AND c.revision = dated.since

-- name: add_missing_counts
INSERT INTO label_count (label_id) SELECT id FROM label WHERE dataset_id = :dataset_id ON CONFLICT DO NOTHING

-- name: add_missing_suggestion_counts
INSERT INTO suggestion_count (label_id, model_id)
SELECT label.id, m.id FROM model m JOIN label ON label.dataset_id = m.dataset_id
WHERE m.dataset_id = :dataset_id
  AND (EXISTS (SELECT FROM annotation a WHERE a.label_id = label.id AND a.model_id = m.id)
       OR EXISTS (SELECT FROM verdict v WHERE v.label_id = label.id AND v.model_id = m.id))
ON CONFLICT DO NOTHING

-- name: listed_table
CREATE TEMP TABLE listed (path text COLLATE "C" NOT NULL, taken boolean NOT NULL)

-- name: suspect_table
CREATE TEMP TABLE suspect (path text COLLATE "C" NOT NULL, has_sample boolean NOT NULL)

-- name: find_suspects
-- Samples without a listed file, and listed files that a sync would take and that have no row.
INSERT INTO suspect (path, has_sample)
SELECT path, true FROM sample s
WHERE dataset_id = :dataset_id AND NOT EXISTS (SELECT FROM listed WHERE listed.path = s.path)
UNION ALL
SELECT DISTINCT path, false FROM listed l
WHERE taken AND NOT EXISTS (SELECT FROM source WHERE dataset_id = :dataset_id AND path = l.path AND status <> 'GONE')
  AND NOT EXISTS (SELECT FROM sample WHERE dataset_id = :dataset_id AND path = l.path)

-- name: suspects
SELECT path FROM suspect WHERE has_sample = :has_sample AND path > :after ORDER BY path LIMIT :limit

-- name: still_with_sample
SELECT path FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) ORDER BY path

-- name: still_without_row
-- Also without an upload or a deletion that is not finished: their files have no row at times.
SELECT path FROM unnest(:paths::text[]) AS file (path)
WHERE NOT EXISTS (SELECT FROM source WHERE dataset_id = :dataset_id AND path = file.path AND status <> 'GONE')
  AND NOT EXISTS (SELECT FROM sample WHERE dataset_id = :dataset_id AND path = file.path)
  AND NOT EXISTS (SELECT FROM upload WHERE dataset_id = :dataset_id AND path = file.path AND finished_at IS NULL)
  AND NOT EXISTS (SELECT FROM source_deletion WHERE dataset_id = :dataset_id AND path = file.path
                  AND finished_at IS NULL)
ORDER BY path

-- name: is_filling
SELECT EXISTS (SELECT FROM job WHERE dataset_id = :dataset_id AND kind IN ('SYNC', 'IMPORT')
               AND NOT (kind = 'SYNC' AND is_dry_run) AND status IN ('QUEUED', 'RUNNING'))
