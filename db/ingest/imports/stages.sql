-- name: dataset
SELECT type, input_path, label_names, include, exclude, image_formats FROM dataset WHERE id = :id AND deleted_at IS NULL

-- name: lines
-- So many, and no more bytes than fit in memory.
SELECT position, path, origin, entry, candidates, exact, is_stem, matched
FROM (SELECT line.*, sum(octet_length(entry)) OVER (ORDER BY position) - octet_length(entry) AS bytes_before
      FROM (SELECT * FROM import_line WHERE job_id = :job_id AND position > :position ORDER BY position LIMIT :count) line
     ) AS next
WHERE bytes_before < :bytes ORDER BY position

-- name: changes_nothing
-- Whether an import, or what a dry run counted, comes to nothing, and no notice says why.
SELECT added + updated = 0
   AND NOT EXISTS (SELECT FROM import_notice WHERE job_id = :job_id AND kind NOT LIKE 'MATCHED%')
FROM job WHERE id = :job_id

-- name: remember_format
UPDATE job SET format = :format WHERE id = :job_id
