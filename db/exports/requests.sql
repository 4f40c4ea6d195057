-- name: take_turns
-- Requests for exports of a dataset, until the commit: so each sees those that were started before.
SELECT pg_advisory_xact_lock(6, :dataset_id::bigint::int)
