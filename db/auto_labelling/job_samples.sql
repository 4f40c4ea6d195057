-- name: add_examples
-- As many of each label as there are, the rarest first complete; always the same ones of the same samples.
INSERT INTO auto_label_example (job_id, number, sample_id, label_ids)
SELECT :job_id, row_number() OVER (ORDER BY place, id), id, label_ids
FROM (
    SELECT sample.id, sample.label_ids,
           row_number() OVER (PARTITION BY sample.label_ids[1] ORDER BY hashint8extended(sample.id, 0), sample.id) AS place
    FROM sample JOIN source ON source.id = sample.source_id
    WHERE sample.dataset_id = :dataset_id AND sample.label_ids <> '{}' AND source.status = 'PRESENT'
      AND source.format IS NOT NULL
) AS labelled
ORDER BY place, id LIMIT :most

-- name: add_evaluated
-- Drawn at random from all, so that frequent labels are frequent among them; always the same ones of the same samples.
INSERT INTO auto_label_example (job_id, number, sample_id, label_ids)
SELECT :job_id, row_number() OVER (ORDER BY place, id), id, label_ids
FROM (
    SELECT sample.id, sample.label_ids, hashint8extended(sample.id, 0) AS place
    FROM sample JOIN source ON source.id = sample.source_id
    WHERE sample.dataset_id = :dataset_id AND sample.label_ids <> '{}' AND source.status = 'PRESENT'
      AND source.format IS NOT NULL
    ORDER BY place, sample.id LIMIT :most
) AS labelled

-- name: count_samples
UPDATE auto_label SET sample_count = (SELECT count(*) FROM auto_label_sample WHERE job_id = :job_id)
WHERE job_id = :job_id

-- name: dataset
SELECT dataset.id, dataset.name, dataset.type, dataset.input_path, auto_label.sample_count AS samples,
       auto_label.accuracy IS NOT NULL AS is_evaluated, job.scanned AS read, (SELECT count(*) FROM auto_label_example WHERE job_id = :job_id) AS examples
FROM auto_label JOIN dataset ON dataset.id = auto_label.dataset_id JOIN job ON job.id = auto_label.job_id
WHERE auto_label.job_id = :job_id AND dataset.deleted_at IS NULL

-- name: samples
-- Of a sample that is deleted by now only the number.
SELECT listed.number, sample.id, sample.path, sample.label_ids, source.id AS source_id, source.path AS source_path,
       source.etag, source.size, coalesce(source.content_hash, source.etag) AS content, source.format,
       source.status = 'PRESENT' AS is_present, source.width, source.height, source.orientation
FROM auto_label_sample AS listed
LEFT JOIN (sample JOIN source ON source.id = sample.source_id) ON sample.id = listed.sample_id
WHERE listed.job_id = :job_id AND listed.number > :after AND listed.number <= :last
ORDER BY listed.number

-- name: examples
SELECT listed.number, listed.label_ids AS targets, sample.id, sample.path, sample.label_ids, source.id AS source_id,
       source.path AS source_path, source.etag, source.size, coalesce(source.content_hash, source.etag) AS content,
       source.format, source.status = 'PRESENT' AS is_present, source.width, source.height, source.orientation
FROM auto_label_example AS listed
LEFT JOIN (sample JOIN source ON source.id = sample.source_id) ON sample.id = listed.sample_id
WHERE listed.job_id = :job_id AND listed.number > :after AND listed.number <= :last
ORDER BY listed.number
