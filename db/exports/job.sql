-- name: export
SELECT e.format, e.images, e.packing, e.location, e.folder, e.is_temporary, e.revision, e.facts::text AS facts
FROM export e JOIN dataset d ON d.id = e.dataset_id WHERE e.job_id = :job_id AND d.deleted_at IS NULL

-- name: add_file
INSERT INTO export_file (job_id, path, object, size, sha256) VALUES (:job_id, :path, :object, :size, :sha256)
ON CONFLICT (job_id, path) DO UPDATE SET object = excluded.object, size = excluded.size, sha256 = excluded.sha256

-- name: no_split
SELECT count(*) AS count, min(path) AS path FROM export_sample
WHERE job_id = :job_id AND NOT coalesce(usage, '') = ANY(:usages::text[])

-- name: finish
UPDATE export SET image_count = :images, annotation_count = :annotations, left_out_count = :left_out,
    missing_count = :missing, total_size = (SELECT coalesce(sum(size), 0) FROM export_file WHERE job_id = :job_id),
    expires_at = CASE WHEN is_temporary THEN now() + :lifetime::interval END,
    sweep_at = CASE WHEN is_temporary THEN now() + :lifetime::interval END
WHERE job_id = :job_id
