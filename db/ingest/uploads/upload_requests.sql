-- name: set_aside
-- What has ended while a bucket's URLs may still bring it: what was canceled or refused counts as it was, and the key goes to
-- a new upload, to which no earlier URL leads.
UPDATE upload SET key = E'\x01' || staged
WHERE id IN (SELECT id FROM upload WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[])
               AND finished_at IS NOT NULL AND expires_at > now()
               AND NOT EXISTS (SELECT FROM sample WHERE sample.id = sample_id) ORDER BY id FOR UPDATE)

-- name: write
INSERT INTO upload (dataset_id, key, file_name, size, path, staged, labels, label_ids, create_missing, on_conflict,
                    expires_at, sweep_at, token_id)
SELECT :dataset_id, key, file_name, size, path, staged, labels, label_ids, :create_missing, :on_conflict,
       :expires_at::timestamptz, :expires_at::timestamptz + :grace::interval, :token_id
FROM jsonb_to_recordset(:rows::jsonb)
     AS new (key text, file_name text, size bigint, path text, staged text, labels text[], label_ids bigint[])
ORDER BY path
ON CONFLICT (dataset_id, key) DO UPDATE SET
    file_name = excluded.file_name, size = excluded.size, path = excluded.path, labels = excluded.labels,
    label_ids = excluded.label_ids, create_missing = excluded.create_missing, on_conflict = excluded.on_conflict,
    expires_at = greatest(upload.expires_at, excluded.expires_at),
    sweep_at = greatest(upload.expires_at, excluded.expires_at) + :grace::interval,
    token_id = CASE WHEN upload.finished_at IS NULL THEN upload.token_id ELSE excluded.token_id END,
    cleared = false, sample_id = NULL, error_code = NULL, error = NULL, finished_at = NULL,
    generation = upload.generation + CASE WHEN upload.finished_at IS NULL THEN 0 ELSE 1 END
WHERE upload.key = ANY(:known::text[])
RETURNING key, staged

-- name: destination
SELECT input_path, image_formats AS formats, exclude FROM dataset WHERE id = :dataset_id

-- name: lock
SELECT id FROM upload WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) ORDER BY id FOR UPDATE

-- name: rows
SELECT upload.id, key, file_name, size, labels, upload.label_ids, create_missing, on_conflict, upload.path, staged,
       finished_at, error_code, error, generation, sample.id AS sample
FROM upload LEFT JOIN sample ON sample.id = upload.sample_id
WHERE upload.dataset_id = :dataset_id AND key = ANY(:keys::text[])
