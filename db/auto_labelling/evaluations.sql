-- name: labels
SELECT id, name FROM label WHERE dataset_id = :dataset_id ORDER BY id

-- name: confirmed
-- What people put on samples.
SELECT sample_id, label_id, shape FROM annotation
WHERE dataset_id = :dataset_id AND sample_id = ANY(:samples::bigint[]) AND confirmed ORDER BY id

-- name: note
UPDATE auto_label SET accuracy = :accuracy, evaluated_count = :evaluated WHERE job_id = :job_id

-- name: clear
WITH scores AS (DELETE FROM auto_label_score WHERE job_id = :job_id),
     thresholds AS (DELETE FROM auto_label_threshold WHERE job_id = :job_id)
DELETE FROM auto_label_confusion WHERE job_id = :job_id

-- name: add_scores
INSERT INTO auto_label_score (job_id, label_id, name, sample_count, is_left_out, precision, recall, support)
SELECT :job_id, label_id, name, sample_count, support IS NULL, precision, recall, support
FROM unnest(:labels::bigint[], :names::text[], :counts::bigint[], :precisions::float8[], :recalls::float8[],
            :supports::bigint[])
    WITH ORDINALITY AS score (label_id, name, sample_count, precision, recall, support, position)
ORDER BY position

-- name: add_confusions
INSERT INTO auto_label_confusion (job_id, actual, predicted, count)
SELECT :job_id, actual, predicted, count
FROM unnest(:actual::text[], :predicted::text[], :counts::bigint[])
    WITH ORDINALITY AS confusion (actual, predicted, count, position)
ORDER BY position

-- name: add_thresholds
INSERT INTO auto_label_threshold (job_id, min_confidence, share, precision)
SELECT :job_id, min_confidence, share, precision
FROM unnest(:confidences::float8[], :shares::float8[], :precisions::float8[])
    WITH ORDINALITY AS threshold (min_confidence, share, precision, position)
ORDER BY position
