-- name: create_table
-- Once for each connection; every transaction finds it empty.
CREATE TEMP TABLE IF NOT EXISTS selected (id bigint PRIMARY KEY) ON COMMIT DELETE ROWS

-- name: first_page
SELECT id FROM selected JOIN sample USING (id) ORDER BY created_at DESC, id DESC LIMIT :limit
