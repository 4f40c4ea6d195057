-- name: state_of_path
SELECT EXISTS (SELECT FROM sample WHERE dataset_id = :dataset_id AND path = :path) AS is_sample,
       EXISTS (SELECT FROM source WHERE dataset_id = :dataset_id AND path = :path AND status <> 'GONE') AS is_known,
       EXISTS (SELECT FROM source_deletion WHERE dataset_id = :dataset_id AND path = :path AND finished_at IS NULL)
       OR EXISTS (SELECT FROM upload WHERE dataset_id = :dataset_id AND path = :path AND finished_at IS NULL)
       AS is_reserved
