-- name: set
UPDATE sample SET
    hard = coalesce(:hard::boolean, hard), usage = CASE WHEN :set_usage::boolean THEN :usage::text ELSE usage END,
    since = :since
FROM selected WHERE sample.id = selected.id
