-- name: of_datasets
SELECT input_path, output_path FROM dataset WHERE id = ANY(:ids::bigint[]) AND deleted_at IS NULL
