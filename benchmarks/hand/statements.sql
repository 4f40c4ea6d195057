-- Each write as one statement: the checks of Labelgraph's mutation, its rows, its counters and its answer.

-- name: label
-- As `labelSamples`: samples get labels that they lack, and a machine's suggestion of one is confirmed.
WITH used AS MATERIALIZED (
    SELECT label.id FROM hand.label JOIN hand.dataset ON dataset.id = dataset_id
    WHERE dataset_id = :dataset AND deleted_at IS NULL AND label.name = ANY(:labels::text[])
    ORDER BY label.id FOR KEY SHARE OF label
), given AS (
    SELECT array_agg(id ORDER BY id) AS ids FROM used HAVING count(*) = cardinality(:labels::text[])
), changed AS (
    UPDATE hand.sample
    SET label_ids = ARRAY(SELECT DISTINCT id FROM unnest(sample.label_ids || given.ids) AS id ORDER BY id),
        state = 'LABELED', labeled_by = 'hand', labeled_at = now(), labeled_origin = 'MANUAL'
    FROM given WHERE dataset_id = :dataset AND SELECTED AND NOT sample.label_ids @> given.ids
    RETURNING sample.id, old.state, old.label_ids
), confirmed AS (
    UPDATE hand.annotation SET confirmed = true, labeled_by = 'hand', labeled_at = now(), origin = 'MANUAL'
    FROM changed, used
    WHERE sample_id = changed.id AND label_id + 0 = used.id AND NOT confirmed
    RETURNING label_id
), added AS (
    INSERT INTO hand.annotation (dataset_id, sample_id, label_id, labeled_by, origin)
    SELECT :dataset, changed.id, used.id, 'hand', 'MANUAL' FROM changed CROSS JOIN used
    WHERE NOT EXISTS (SELECT FROM hand.annotation a WHERE a.sample_id = changed.id AND a.label_id + 0 = used.id)
    RETURNING label_id
), counted AS (
    UPDATE hand.label_count SET sample_count = sample_count + samples, annotation_count = annotation_count + annotations
    FROM (SELECT used.id, (SELECT count(*) FROM changed WHERE NOT label_ids @> ARRAY[used.id]) AS samples,
                 (SELECT count(*) FROM (TABLE confirmed UNION ALL TABLE added) a WHERE label_id = used.id) AS annotations
          FROM used ORDER BY used.id) more
    WHERE label_id = more.id AND (samples, annotations) <> (0, 0)
), total AS (
    UPDATE hand.dataset SET labeled = labeled + others, pending = pending - suggested
    FROM (SELECT count(*) FILTER (WHERE state <> 'LABELED') AS others,
                 count(*) FILTER (WHERE state = 'PENDING') AS suggested FROM changed) before
    WHERE id = :dataset AND others > 0
)
SELECT CASE WHEN EXISTS (TABLE given) THEN format(
    '{"data":{"labelSamples":{"matchedCount":%s,"changedCount":%s}}}',
    (SELECT count(*) FROM hand.sample WHERE dataset_id = :dataset AND SELECTED), (SELECT count(*) FROM changed))
ELSE '{"errors":[{"message":"The dataset has no such label."}]}' END

-- name: delete_label
-- As `deleteLabels`. GOES says which of the samples that carry the label go with it.
WITH deleted AS (
    DELETE FROM hand.sample WHERE GOES AND id IN (SELECT sample_id FROM hand.annotation WHERE label_id = :label)
    RETURNING id
), suggestions AS (
    DELETE FROM hand.annotation USING deleted WHERE sample_id = deleted.id AND label_id + 0 <> :label
), gone AS (
    DELETE FROM hand.annotation WHERE label_id = :label RETURNING sample_id
), changed AS (
    UPDATE hand.sample SET
        label_ids = array_remove(label_ids, :label),
        state = CASE WHEN array_remove(label_ids, :label) <> '{}' THEN 'LABELED'
                     WHEN EXISTS (SELECT FROM hand.annotation a WHERE sample_id = sample.id AND label_id + 0 <> :label)
                     THEN 'PENDING' ELSE 'UNLABELED' END,
        labeled_by = CASE WHEN array_remove(label_ids, :label) <> '{}' THEN labeled_by END,
        labeled_at = CASE WHEN array_remove(label_ids, :label) <> '{}' THEN labeled_at END,
        labeled_origin = CASE WHEN array_remove(label_ids, :label) <> '{}' THEN labeled_origin ELSE 'MANUAL' END
    WHERE NOT (GOES) AND id IN (SELECT sample_id FROM gone)
    RETURNING old.state AS before, new.state AS after
), total AS (
    UPDATE hand.dataset SET total = total - number, labeled = labeled - number - before, pending = pending + after
    FROM (SELECT count(*) AS number FROM deleted) d,
         (SELECT count(*) FILTER (WHERE before = 'LABELED' AND after <> 'LABELED') AS before,
                 count(*) FILTER (WHERE after = 'PENDING' AND before <> 'PENDING')
                 - count(*) FILTER (WHERE before = 'PENDING' AND after <> 'PENDING') AS after FROM changed) c
    WHERE id = (SELECT dataset_id FROM hand.label WHERE id = :label)
), counter AS (
    DELETE FROM hand.label_count WHERE label_id = :label
), label AS (
    DELETE FROM hand.label WHERE id = :label RETURNING id
)
SELECT format('{"data":{"deleteLabels":{"affectedSampleCount":%s,"deletedSampleCount":%s}}}',
              (SELECT count(*) FROM deleted) + (SELECT count(*) FROM changed), (SELECT count(*) FROM deleted))
FROM label

-- name: annotate
-- As `annotateSamples`, for boxes: each must be on its image, and one that is there already is not added again.
WITH given AS MATERIALIZED (
    SELECT "sampleId" AS sample_id, label.id AS label_id,
           jsonb_build_object('type', 'BoundingBox', 'xMin', "xMin", 'yMin', "yMin", 'xMax', "xMax", 'yMax', "yMax") AS shape,
           dataset.type <> 'IMAGE_CLASSIFICATION' AND "xMin" >= 0 AND "yMin" >= 0 AND "xMin" < "xMax"
           AND "yMin" < "yMax" AND "xMax" <= width AND "yMax" <= height AND deleted_at IS NULL AS valid
    FROM jsonb_to_recordset(:samples::jsonb) AS each ("sampleId" bigint, add jsonb)
    CROSS JOIN LATERAL jsonb_to_recordset(add) AS box (label text, shape hand.shape)
    CROSS JOIN LATERAL (SELECT ((box.shape)."boundingBox").*) AS side
    LEFT JOIN (hand.sample JOIN hand.source ON source.id = source_id JOIN hand.dataset ON dataset.id = sample.dataset_id)
        ON sample.id = "sampleId" AND sample.dataset_id = :dataset
    LEFT JOIN hand.label ON label.dataset_id = :dataset AND label.name = box.label
), refused AS MATERIALIZED (
    SELECT FROM given WHERE (valid AND label_id IS NOT NULL) IS NOT true
    UNION ALL
    SELECT FROM (SELECT sample_id FROM given UNION ALL
                 SELECT a.sample_id FROM hand.annotation a WHERE a.sample_id IN (SELECT sample_id FROM given)) every
    GROUP BY sample_id HAVING count(*) > 10000
), added AS (
    INSERT INTO hand.annotation (dataset_id, sample_id, label_id, shape, labeled_by, origin)
    SELECT :dataset, box.*, 'hand', 'MANUAL' FROM (
        SELECT sample_id, label_id, shape FROM given WHERE NOT EXISTS (TABLE refused)
        EXCEPT
        SELECT sample_id, label_id, shape FROM hand.annotation WHERE sample_id IN (SELECT sample_id FROM given)
    ) box ORDER BY sample_id, label_id
    RETURNING sample_id, label_id
), changed AS (
    UPDATE hand.sample
    SET label_ids = ARRAY(SELECT DISTINCT id FROM unnest(label_ids || more.ids) AS id ORDER BY id), state = 'LABELED',
        labeled_by = 'hand', labeled_at = now(), labeled_origin = 'MANUAL'
    FROM (SELECT sample_id, array_agg(DISTINCT label_id) AS ids FROM added GROUP BY sample_id) more
    WHERE id = more.sample_id
    RETURNING old.state, new.label_ids AS now, old.label_ids AS before
), counted AS (
    UPDATE hand.label_count SET annotation_count = annotation_count + more.annotations,
                                sample_count = sample_count + more.samples
    FROM (SELECT label_id AS id, count(*) AS annotations,
                 (SELECT count(*) FROM changed WHERE now @> ARRAY[added.label_id] AND NOT before @> ARRAY[added.label_id])
                 AS samples
          FROM added GROUP BY label_id ORDER BY label_id) more
    WHERE label_id = more.id
), total AS (
    UPDATE hand.dataset SET labeled = labeled + others, pending = pending - suggested
    FROM (SELECT count(*) FILTER (WHERE state <> 'LABELED') AS others,
                 count(*) FILTER (WHERE state = 'PENDING') AS suggested FROM changed) before
    WHERE id = :dataset AND others > 0
)
SELECT CASE WHEN NOT EXISTS (TABLE refused) THEN format(
    '{"data":{"annotateSamples":{"matchedCount":%s,"changedCount":%s}}}',
    (SELECT count(DISTINCT sample_id) FROM given), (SELECT count(*) FROM changed))
ELSE '{"errors":[{"message":"A label, a sample or a box is not valid."}]}' END

-- name: add_samples
-- Files become samples without labels; a path that is taken is left out.
WITH sources AS (
    INSERT INTO hand.source (dataset_id, path, etag, size, modified_at, format, width, height, orientation, content_hash)
    SELECT :dataset, path, hash, size, modified_at, format, width, height, orientation, hash
    FROM unnest(:paths::text[], :hashes::text[], :sizes::bigint[], :times::timestamptz[], :formats::text[],
                :widths::int[], :heights::int[], :orientations::smallint[])
         AS file (path, hash, size, modified_at, format, width, height, orientation)
    ON CONFLICT (dataset_id, path) WHERE status <> 'GONE' DO NOTHING
    RETURNING id, path, modified_at
), samples AS (
    INSERT INTO hand.sample (dataset_id, source_id, path, created_at) SELECT :dataset, id, path, modified_at FROM sources
    RETURNING id, path
), total AS (
    UPDATE hand.dataset SET total = total + number FROM (SELECT count(*) AS number FROM samples) s WHERE id = :dataset
)
SELECT id, path FROM samples

-- name: known_files
SELECT path, size, modified_at FROM hand.source WHERE dataset_id = :dataset AND status <> 'GONE'

-- name: copy_split
-- The rows of a version's split, as one statement writes them.
INSERT INTO hand.version_eval SELECT version_id, sample_id, dataset_id FROM version_eval WHERE version_id = :version

-- name: one
SELECT format('{"data":{"node":{"id":"Sample:%s","path":%s}}}', id, to_json(path)) FROM hand.sample WHERE id = :sample

-- name: differences
-- How many samples, labels and counters are on one side only, or differ.
SELECT (SELECT count(*) FROM sample s FULL JOIN hand.sample h USING (dataset_id, path)
        WHERE (s.state, s.label_ids) IS DISTINCT FROM (h.state, h.label_ids))
     + (SELECT count(*) FROM label s FULL JOIN hand.label h USING (id) WHERE s.name IS DISTINCT FROM h.name)
     + (SELECT count(*) FROM label_count s FULL JOIN hand.label_count h USING (label_id)
        WHERE (s.sample_count, s.annotation_count) IS DISTINCT FROM (h.sample_count, h.annotation_count))
     + (SELECT count(*) FROM dataset s JOIN hand.dataset h USING (id)
        WHERE (s.total, s.labeled, s.pending) IS DISTINCT FROM (h.total, h.labeled, h.pending))

-- name: follow_datasets
INSERT INTO hand.dataset SELECT id, name, type FROM dataset WHERE id NOT IN (SELECT id FROM hand.dataset)

-- name: follow
-- Labels, samples and annotations of whole images become what Labelgraph has.
DELETE FROM hand.annotation h WHERE shape IS NULL AND NOT EXISTS (
    SELECT FROM annotation a WHERE a.sample_id = h.sample_id AND a.label_id = h.label_id AND a.shape IS NULL);
INSERT INTO hand.label SELECT id, dataset_id, name, color, shortcut FROM label
WHERE id NOT IN (SELECT id FROM hand.label);
INSERT INTO hand.sample (id, dataset_id, source_id, path, created_at, added_at, hard)
SELECT id, dataset_id, source_id, path, created_at, added_at, hard FROM sample s
WHERE NOT EXISTS (SELECT FROM hand.sample h WHERE h.id = s.id);
UPDATE hand.sample h SET label_ids = s.label_ids, state = s.state, labeled_by = s.labeled_by, labeled_at = s.labeled_at,
                         labeled_origin = s.labeled_origin
FROM sample s WHERE s.id = h.id AND (s.state, s.label_ids) <> (h.state, h.label_ids);
INSERT INTO hand.annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin)
SELECT dataset_id, sample_id, label_id, labeled_by, labeled_at, origin FROM annotation a
WHERE shape IS NULL AND NOT EXISTS (
    SELECT FROM hand.annotation h WHERE h.sample_id = a.sample_id AND h.label_id = a.label_id AND h.shape IS NULL);
DELETE FROM hand.label_count;
INSERT INTO hand.label_count SELECT label_id, sample_count, annotation_count FROM label_count;
UPDATE hand.dataset h SET total = d.total, labeled = d.labeled, pending = d.pending FROM dataset d WHERE d.id = h.id
