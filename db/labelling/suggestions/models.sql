-- name: versions
SELECT id, version FROM model WHERE dataset_id = :dataset_id AND name = :name

-- name: find
SELECT id, model.name, model.version FROM model
JOIN unnest(:names::text[], :versions::text[]) AS given (name, version)
    ON model.name = given.name AND model.version = given.version
WHERE dataset_id = :dataset_id ORDER BY id

-- name: make
INSERT INTO model (dataset_id, name, version) VALUES (:dataset_id, :name, :version)
ON CONFLICT (dataset_id, name, version) DO UPDATE SET suggested_at = now() RETURNING id
