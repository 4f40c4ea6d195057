-- name: page
-- What belongs to a page is looked up by ids, which no plan can make a join of.
SELECT number, sample_id, source_id, path, state, usage, hard, same_stem, same_name FROM export_sample
WHERE job_id = :job_id AND number > :after AND (:usages::text[] IS NULL OR coalesce(usage, '') = ANY(:usages::text[]))
ORDER BY number LIMIT :size

-- name: sources
SELECT id, path, etag, size, format, width, height, orientation FROM source WHERE id = ANY(:ids::bigint[])
