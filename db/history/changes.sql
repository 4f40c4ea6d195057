-- name: lock_shared
SELECT pg_advisory_xact_lock_shared(1, :dataset_id::bigint::int)

-- name: lock_exclusive
SELECT pg_advisory_xact_lock(1, :dataset_id::bigint::int)

-- name: revision
SELECT revision FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: record
WITH head AS (
    UPDATE dataset SET revision = revision + 1, updated_at = clock_timestamp()
    WHERE id = :dataset_id AND deleted_at IS NULL RETURNING id, revision
)
INSERT INTO change (dataset_id, revision, kind, actor, summary, undoable, job_id)
SELECT id, revision, :kind, :actor, :summary, :undoable, :job_id::bigint FROM head
RETURNING id, revision

-- name: between
SELECT id FROM change WHERE dataset_id = :dataset_id AND revision > :expected AND revision <= :revision
ORDER BY revision LIMIT :limit
