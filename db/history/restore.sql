-- Rows as they were before a span of revisions lie in `before_…`, rows as the span left them in `after_…`; there `until`
-- is 9223372036854775807 where the row is still the one that the span left.

-- name: create_tables
DO $$
DECLARE
    fact text;
BEGIN
    FOREACH fact IN ARRAY ARRAY['label', 'sample', 'annotation'] LOOP
        EXECUTE format('CREATE TEMP TABLE before_%1$s (LIKE %1$s, until bigint, PRIMARY KEY (id)) ON COMMIT DROP', fact);
        EXECUTE format('CREATE TEMP TABLE after_%1$s (LIKE %1$s, until bigint, PRIMARY KEY (id)) ON COMMIT DROP', fact);
    END LOOP;
END $$

-- name: create_verdict_tables
DO $$
BEGIN
    CREATE TEMP TABLE before_verdict (LIKE verdict, until bigint, PRIMARY KEY (id)) ON COMMIT DROP;
    CREATE TEMP TABLE after_verdict (LIKE verdict, until bigint, PRIMARY KEY (id)) ON COMMIT DROP;
END $$

-- name: has_models
-- Only a dataset with models has verdicts.
SELECT has_models(:dataset_id)

-- name: has_tables
SELECT to_regclass('pg_temp.before_label') IS NOT NULL

-- name: clear_tables
-- example: tables = before_label, after_label
TRUNCATE {tables}

-- name: columns
-- From the catalog, so that what a later migration adds is restored too, by an older server as well.
SELECT c.relname, array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = ANY(ARRAY['label', 'sample', 'annotation', 'verdict']::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attgenerated = '' AND a.attname <> ALL(ARRAY['id', 'dataset_id', 'since'])
GROUP BY c.relname

-- name: load_before
-- example: fact = label; row = id, dataset_id, name, since
INSERT INTO before_{fact} ({row}, until) SELECT {row}, until FROM {fact}_past
WHERE dataset_id = :dataset_id AND until > :early AND until <= :late AND since <= :early

-- name: load_after
-- example: fact = label; row = id, dataset_id, name, since
INSERT INTO after_{fact} ({row}, until)
SELECT {row}, 9223372036854775807 FROM {fact} WHERE dataset_id = :dataset_id AND since > :early AND since <= :late
UNION ALL
SELECT {row}, until FROM {fact}_past
WHERE dataset_id = :dataset_id AND since > :early AND since <= :late AND until > :late

-- name: load_annotations_after
-- By their samples, which every change of an annotation changes too.
-- example: row = id, dataset_id, sample_id, label_id, since; annotations = a.id, a.dataset_id, a.sample_id, a.label_id, a.since
INSERT INTO after_annotation ({row}, until)
SELECT {annotations}, 9223372036854775807 FROM after_sample s JOIN annotation a ON a.sample_id = s.id
WHERE a.since > :early AND a.since <= :late
UNION ALL
SELECT {annotations}, a.until FROM after_sample s JOIN annotation_past a ON a.sample_id = s.id
WHERE a.since > :early AND a.since <= :late AND a.until > :late

-- name: analyze
-- example: tables = before_label, after_label
ANALYZE {tables}

-- name: follow_files
-- A source that moved has taken its sample's path along. One that is gone is replaced by what is at its path now, as in
-- a sync; but not to what another sample shows.
-- example: leaves = true
UPDATE before_sample b SET source_id = coalesce(here.id, old.id),
                           path = CASE old.status WHEN 'GONE' THEN b.path ELSE old.path END
FROM before_sample same JOIN source old ON old.id = same.source_id
LEFT JOIN source here ON old.status = 'GONE' AND here.dataset_id = same.dataset_id AND here.path = same.path
    AND here.status = 'PRESENT'
    AND NOT EXISTS (SELECT FROM before_sample other WHERE other.source_id = here.id)
    AND NOT EXISTS (SELECT FROM sample s WHERE s.source_id = here.id AND s.id <> same.id AND NOT {leaves})
WHERE same.id = b.id AND (old.status = 'GONE' OR old.path <> b.path)

-- name: drop_unchanged
-- What the span left as it was before, it did not touch: facts that came to be the same again.
-- example: fact = label; before = ROW(b.name); after = ROW(a.name); condition = true
WITH same AS (
    SELECT b.id FROM before_{fact} b JOIN after_{fact} a USING (id)
    WHERE {before} IS NOT DISTINCT FROM {after} AND {condition}
), dropped AS (DELETE FROM before_{fact} b USING same WHERE b.id = same.id)
DELETE FROM after_{fact} a USING same WHERE a.id = same.id

-- name: have_moved
SELECT EXISTS (SELECT FROM before_sample b JOIN after_sample a USING (id)
               WHERE (b.path, b.source_id) <> (a.path, a.source_id))

-- name: obstacles
-- Samples at the path, or with the source, of one that comes back. One that is where it comes back to has both.
-- example: leaves = true
SELECT s.since, s.path FROM before_sample back JOIN sample s
    ON (s.source_id = back.source_id OR (s.dataset_id = back.dataset_id AND s.path = back.path)) AND s.id <> back.id
WHERE NOT EXISTS (
    SELECT FROM after_sample same
    WHERE same.id = back.id AND same.source_id = back.source_id AND same.path = back.path
      AND same.until = 9223372036854775807)
  AND NOT {leaves} AND NOT EXISTS (
    SELECT FROM before_sample b WHERE b.id = s.id AND b.source_id <> back.source_id AND b.path <> back.path)

-- name: defer_names
-- Labels may exchange their names.
SET CONSTRAINTS label_name_key, label_shortcut_key DEFERRED

-- name: check_names
SET CONSTRAINTS label_name_key, label_shortcut_key IMMEDIATE

-- name: delete_rows
-- example: fact = annotation
DELETE FROM {fact} USING after_{fact} a WHERE {fact}.id = a.id

-- name: delete_samples
DELETE FROM sample s USING after_sample a
WHERE s.id = a.id AND NOT EXISTS (SELECT FROM before_sample b WHERE b.id = s.id)

-- name: delete_labels
DELETE FROM label USING after_label a
WHERE label.id = a.id AND NOT EXISTS (SELECT FROM before_label b WHERE b.id = label.id)

-- name: update_labels
-- example: assignments = name = b.name
UPDATE label SET {assignments}, since = :since FROM before_label b WHERE label.id = b.id

-- name: keep_later_values
-- What others have done to a sample since stays: its labelling as a whole, and each column that the span did not touch.
-- example: assignments = hard = s.hard; now = ROW(s.hard); after = ROW(a.hard)
UPDATE before_sample b SET {assignments}
FROM after_sample a JOIN sample s ON s.id = a.id
WHERE a.id = b.id AND a.until < 9223372036854775807 AND {now} IS DISTINCT FROM {after}

-- name: vacate_paths
-- Samples may exchange their paths; until the next statement, those that others come back to are at paths that no file
-- can have. History keeps the path before, since `since` moves on here.
UPDATE sample SET path = '/' || sample.id, since = :since FROM before_sample b, after_sample a
WHERE sample.id = b.id AND a.id = b.id AND sample.path <> b.path
  AND EXISTS (SELECT FROM before_sample other WHERE other.path = sample.path AND other.id <> sample.id)

-- name: update_samples
-- example: assignments = hard = b.hard
UPDATE sample SET {assignments}, since = :since FROM before_sample b, after_sample a
WHERE sample.id = b.id AND a.id = b.id

-- name: insert_rows
-- example: fact = label; columns = name
INSERT INTO {fact} (id, dataset_id, {columns}, since)
SELECT id, dataset_id, {columns}, :since
FROM before_{fact} b WHERE NOT EXISTS (SELECT FROM {fact} f WHERE f.id = b.id) ORDER BY id
