-- What is to be done about a listing. $1 job, $2 dataset, $3 the listing is complete, $4 sidecars overwrite
-- people, $5 what was removed here is restored.
-- A known source is one that is in storage as far as we know, or that feeds a live sample.
WITH listed AS (
    SELECT DISTINCT ON (path) path, stem, size, modified_at, etag
    FROM sync_object o
    WHERE job_id = $1 AND NOT sidecar
      AND NOT EXISTS (SELECT FROM source_deletion d
                      WHERE d.dataset_id = $2 AND d.path = o.path AND d.finished_at IS NULL)
    ORDER BY path, modified_at DESC, etag, size
), sidecar AS (
    SELECT DISTINCT ON (stem) stem, path, etag
    FROM sync_object
    WHERE job_id = $1 AND sidecar
    ORDER BY stem, path, modified_at DESC, etag
), known AS (
    SELECT DISTINCT ON (source.path) source.*, sample.id AS sample_id, sample.labeled_origin
    FROM source LEFT JOIN sample ON sample.source_id = source.id
    WHERE source.dataset_id = $2 AND (source.status <> 'GONE' OR sample.id IS NOT NULL)
    ORDER BY source.path, sample.id IS NULL, source.id
), compared AS (
    SELECT l.path, l.size, l.modified_at, l.etag, k.id AS source_id, k.sample_id, k.status,
           CASE WHEN k.id IS NULL THEN 'NEW'
                WHEN k.size <> l.size OR k.modified_at <> l.modified_at OR k.etag <> l.etag OR k.status = 'GONE'
                THEN 'CHANGED' END AS content,
           CASE WHEN k.sample_id IS NULL THEN s.path IS NOT NULL
                WHEN $4::boolean THEN s.etag <> k.sidecar_etag OR k.sidecar_etag IS NULL OR k.labeled_origin <> 'SYNC'
                WHEN coalesce(k.labeled_origin, 'SYNC') = 'SYNC' THEN s.etag IS DISTINCT FROM k.sidecar_etag
                ELSE false END AND s.path IS NOT NULL AS sidecar_due,
           s.path AS sidecar_path, s.etag AS sidecar_etag
    FROM listed l LEFT JOIN known k ON k.path = l.path LEFT JOIN sidecar s ON s.stem = l.stem
), planned AS (
    SELECT coalesce(content, CASE WHEN status = 'UNREADABLE' THEN 'UNREADABLE'
                                  WHEN sample_id IS NULL THEN CASE WHEN $5::boolean THEN 'RESTORED' END
                                  WHEN sidecar_due THEN 'SIDECAR' END) AS action,
           path, size, modified_at, etag, source_id,
           CASE WHEN sidecar_due THEN sidecar_path END AS sidecar_path,
           CASE WHEN sidecar_due THEN sidecar_etag END AS sidecar_etag
    FROM compared
    UNION ALL
    SELECT 'VANISHED', path, size, modified_at, etag, id, NULL, NULL
    FROM known k
    WHERE $3::boolean
      AND NOT EXISTS (SELECT FROM sync_object o WHERE o.job_id = $1 AND NOT o.sidecar AND o.path = k.path)
)
INSERT INTO sync_item (job_id, position, action, path, size, modified_at, etag, source_id, sidecar_path, sidecar_etag)
SELECT $1, row_number() OVER (ORDER BY action = 'VANISHED', path), action, path, size, modified_at, etag, source_id,
       sidecar_path, sidecar_etag
FROM planned
WHERE action IS NOT NULL
