-- name: lock
SELECT pg_try_advisory_lock(:lock_class, :worker)

-- name: unlock
SELECT pg_advisory_unlock(:lock_class, :worker)
