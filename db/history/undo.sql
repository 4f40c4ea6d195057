-- Of the tables of `restore.sql`: which facts are not any more as the span left them. Rows that are the very ones that it
-- left need not be looked at.

-- name: changed_rows
-- Of labels, annotations or verdicts.
-- example: fact = label; now = ROW(n.name); after = ROW(x.name)
SELECT x.id FROM after_{fact} x LEFT JOIN {fact} n ON n.id = x.id
WHERE x.until < 9223372036854775807 AND (n.id IS NULL OR {now} IS DISTINCT FROM {after})
UNION SELECT b.id FROM before_{fact} b JOIN {fact} n ON n.id = b.id
WHERE NOT EXISTS (SELECT FROM after_{fact} x WHERE x.id = b.id)

-- name: changed_samples
-- A sample that the change made goes with all that is on it. One that it changed need only be there, with the same
-- values in the columns that the change touched.
-- example: changed_since = s.hard <> x.hard; changed_twice = b.hard <> x.hard AND s.hard <> x.hard
SELECT x.id FROM after_sample x LEFT JOIN sample s ON s.id = x.id LEFT JOIN before_sample b ON b.id = x.id
WHERE x.until < 9223372036854775807 AND (
    s.id IS NULL
    OR b.id IS NULL AND (
        s.label_ids <> x.label_ids OR {changed_since}
        OR EXISTS (SELECT FROM annotation a WHERE a.sample_id = s.id
                   AND NOT EXISTS (SELECT FROM after_annotation k WHERE k.id = a.id)))
    OR b.id IS NOT NULL AND ({changed_twice}))
UNION SELECT b.id FROM before_sample b JOIN sample s ON s.id = b.id
WHERE NOT EXISTS (SELECT FROM after_sample x WHERE x.id = b.id)

-- name: revisions
-- The revisions after the one to undo, :undone, that changed these facts.
-- example: fact = label; ids = SELECT 1
SELECT p.until AS revision FROM {fact}_past p WHERE p.id IN ({ids}) AND p.until > :undone
UNION SELECT f.since FROM {fact} f WHERE f.id IN ({ids}) AND f.since > :undone

-- name: unmet_needs
-- Annotations that come back need their sample, their label and their path; so do labels and samples.
-- example: obstacles = SELECT 1::bigint AS since
SELECT (SELECT max(until) FROM label_past p WHERE p.id = b.label_id) AS revision FROM before_annotation b
WHERE NOT EXISTS (SELECT FROM label l WHERE l.id = b.label_id)
  AND NOT EXISTS (SELECT FROM before_label l WHERE l.id = b.label_id)
UNION SELECT (SELECT max(until) FROM sample_past p WHERE p.id = b.sample_id) FROM before_annotation b
WHERE NOT EXISTS (SELECT FROM sample s WHERE s.id = b.sample_id)
  AND NOT EXISTS (SELECT FROM before_sample s WHERE s.id = b.sample_id)
UNION SELECT a.since FROM before_annotation b JOIN annotation a ON a.sample_id = b.sample_id AND a.label_id = b.label_id
WHERE a.shape IS NULL AND b.shape IS NULL AND NOT EXISTS (SELECT FROM after_annotation x WHERE x.id = a.id)
  AND (a.confirmed OR b.confirmed OR a.model_id IS NOT DISTINCT FROM b.model_id)
UNION SELECT a.since FROM after_label x JOIN annotation a ON a.label_id = x.id
WHERE NOT EXISTS (SELECT FROM before_label b WHERE b.id = x.id)
  AND NOT EXISTS (SELECT FROM after_annotation k WHERE k.id = a.id)
UNION SELECT l.since FROM before_label b JOIN label l ON l.dataset_id = b.dataset_id
    AND (l.name = b.name OR l.shortcut = b.shortcut) AND l.id <> b.id
WHERE NOT EXISTS (SELECT FROM after_label x WHERE x.id = l.id)
UNION SELECT since FROM ({obstacles}) AS obstacle

-- name: unmet_needs_of_verdicts
SELECT (SELECT max(until) FROM label_past p WHERE p.id = b.label_id) AS revision FROM before_verdict b
WHERE NOT EXISTS (SELECT FROM label l WHERE l.id = b.label_id)
  AND NOT EXISTS (SELECT FROM before_label l WHERE l.id = b.label_id)
UNION SELECT (SELECT max(until) FROM sample_past p WHERE p.id = b.sample_id) FROM before_verdict b
WHERE NOT EXISTS (SELECT FROM sample s WHERE s.id = b.sample_id)
  AND NOT EXISTS (SELECT FROM before_sample s WHERE s.id = b.sample_id)

-- name: changes
-- Those that were undone, and what undid them, are named only where nothing else is there to name.
SELECT id FROM (
    SELECT id, revision, is_moot, bool_and(is_moot) OVER () AS all_moot
    FROM (SELECT c.id, c.revision,
                 EXISTS (SELECT FROM change u WHERE u.id = c.undone_by AND u.undone_by IS NULL)
                 OR c.undone_by IS NULL
                    AND EXISTS (SELECT FROM change x WHERE x.undone_by = c.id AND x.revision > :undone) AS is_moot
          FROM change c WHERE c.dataset_id = :dataset_id AND c.revision = ANY(:revisions::bigint[])) AS each
) AS judged
WHERE all_moot OR NOT is_moot ORDER BY revision LIMIT :limit

-- name: changes_of_job
-- Those that are in force: not undone, or redone since. What undid a change may itself be undone, and so on.
WITH RECURSIVE step AS (
    SELECT id AS change_id, undone_by, 0 AS steps FROM change WHERE job_id = :job_id AND dataset_id = :dataset_id
    UNION ALL
    SELECT step.change_id, c.undone_by, step.steps + 1 FROM step JOIN change c ON c.id = step.undone_by
)
SELECT c.id, c.revision, c.kind, c.summary, c.undoable, last.steps % 2 = 0 AS in_force
FROM (SELECT change_id, max(steps) AS steps FROM step GROUP BY change_id) last JOIN change c ON c.id = last.change_id
ORDER BY c.revision

-- name: mark_undone
UPDATE change SET undone_by = :change WHERE id = ANY(:ids::bigint[])
