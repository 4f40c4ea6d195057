-- name: lock_shared
SELECT pg_advisory_xact_lock_shared(1, :dataset_id::bigint::int)

-- name: lock_exclusive
SELECT pg_advisory_xact_lock(1, :dataset_id::bigint::int)

-- name: revision
SELECT revision FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: lock_head
SELECT revision FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL FOR NO KEY UPDATE

-- name: record
-- A clock that is set back does not put a change before the one that it follows.
WITH head AS (
    UPDATE dataset SET revision = revision + 1, updated_at = greatest(updated_at, clock_timestamp())
    WHERE id = :dataset_id AND deleted_at IS NULL RETURNING id, revision, updated_at
)
INSERT INTO change (dataset_id, revision, kind, actor, at, summary, undoable, job_id)
SELECT id, revision, :kind, :actor, updated_at, :summary, :undoable, :job_id::bigint FROM head
RETURNING id, revision

-- name: between
SELECT id FROM change WHERE dataset_id = :dataset_id AND revision > :expected AND revision <= :revision
ORDER BY revision LIMIT :limit

-- name: number_changes
SELECT ARRAY(SELECT nextval('change_id_seq') FROM generate_series(1, (SELECT :count::int))) AS ids,
       set_config('labelgraph.revision', :revision::bigint::text, true)

-- name: write_next
SELECT set_config('labelgraph.revision', :revision::bigint::text, true)

-- name: record_written
SELECT record_written(:dataset_id, :kind, :ids, :revisions, :actors, :summaries)
