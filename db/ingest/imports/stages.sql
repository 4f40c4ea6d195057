-- name: dataset
SELECT type, input_path, label_names, include, exclude, image_formats FROM dataset WHERE id = :id AND deleted_at IS NULL

-- name: lines
-- So many, and no more bytes than fit in memory.
SELECT position, path, origin, entry, candidates, exact, is_stem, matched
FROM (SELECT line.*, sum(octet_length(entry)) OVER (ORDER BY position) - octet_length(entry) AS bytes_before
      FROM (SELECT * FROM import_line WHERE job_id = :job_id AND position > :position ORDER BY position LIMIT :count) line
     ) AS next
WHERE bytes_before < :bytes ORDER BY position

-- name: remember_format
UPDATE job SET format = :format WHERE id = :job_id
