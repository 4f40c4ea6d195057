-- name: include_existing
-- What is a sample already stays one while its file is there, whatever the rules say by now. $1 job, $2 dataset.
WITH included AS (
    UPDATE sync_object o SET reason = NULL
    WHERE job_id = $1 AND NOT sidecar AND reason IS NOT NULL
      AND EXISTS (SELECT FROM sample WHERE dataset_id = $2 AND sample.path = o.path)
    RETURNING path
)
SELECT count(*) AS count, min(path) AS first FROM included

-- name: pair
-- To each image that is taken the nearest of its sidecars: one whose name is written like its own, or in another form of
-- Unicode, if neither images nor sidecars have that name in several forms. What is before \x02 in a key is in NFC.
WITH named AS NOT MATERIALIZED (
    SELECT path, sidecar, etag, modified_at, reason, key, split_part(key, E'\x02', 1) AS nfc, n
    FROM sync_object, unnest(keys) WITH ORDINALITY AS k (key, n) WHERE job_id = $1
), ambiguous AS (
    SELECT nfc FROM named WHERE nfc IN (SELECT nfc FROM named WHERE key <> nfc)
    GROUP BY nfc, sidecar HAVING min(key) <> max(key)
)
INSERT INTO sync_sidecar (job_id, path, sidecar_path, sidecar_etag)
SELECT DISTINCT ON (image.path) $1, image.path, sidecar.path, sidecar.etag
FROM named image JOIN named sidecar USING (nfc) LEFT JOIN ambiguous USING (nfc)
WHERE NOT image.sidecar AND image.reason IS NULL AND sidecar.sidecar
  AND (image.key = sidecar.key OR ambiguous.nfc IS NULL)
ORDER BY image.path, image.n, image.key <> sidecar.key, sidecar.path, sidecar.modified_at DESC, sidecar.etag

-- name: ignored
-- How many images are passed over for each reason, by suffix if that is the reason, and how many sidecars belong to
-- none, with the first $2 of each. One is overridden where an image of its name has another.
WITH image AS (
    SELECT split_part(key, E'\x02', 1) AS nfc
    FROM sync_sidecar s JOIN sync_object o USING (job_id, path), unnest(keys) AS k (key)
    WHERE job_id = $1 AND NOT o.sidecar
), unused AS (
    SELECT path, keys, reason FROM sync_object o
    WHERE job_id = $1 AND sidecar
      AND NOT EXISTS (SELECT FROM sync_sidecar s WHERE s.job_id = $1 AND s.sidecar_path = o.path)
), overridden AS (
    SELECT DISTINCT path FROM unused, unnest(keys) AS k (key) JOIN image ON nfc = split_part(key, E'\x02', 1)
), passed AS (
    SELECT path, reason FROM sync_object WHERE job_id = $1 AND NOT sidecar AND reason IS NOT NULL
    UNION ALL
    SELECT unused.path, CASE WHEN overridden.path IS NOT NULL THEN 'SIDECAR_OVERRIDDEN'
                             ELSE coalesce(reason, 'SIDECAR_WITHOUT_IMAGE') END
    FROM unused LEFT JOIN overridden USING (path)
), named AS (
    SELECT path, reason, CASE reason WHEN 'SUFFIX' THEN lower(substring(path FROM '\.[^./]*$')) END AS suffix FROM passed
), numbered AS (
    SELECT path, reason, suffix, row_number() OVER (PARTITION BY reason, suffix ORDER BY path) AS n FROM named
)
SELECT reason, suffix, count(*) AS count, array_agg(path ORDER BY n) FILTER (WHERE n <= $2) AS examples
FROM numbered GROUP BY reason, suffix

-- name: clear_ignored
DELETE FROM ignored_files WHERE job_id = $1

-- name: plan
-- What is to be done about a listing. $1 job, $2 dataset, $3 the listing is complete, $4 sidecars overwrite
-- people, $5 what was removed here is restored, $6 contents are verified, whatever sizes and times say.
-- A known source is one that is in storage as far as we know, or that feeds a live sample, and was not found unchanged.
-- `content` is a hash of a content: an etag is one if it has 32 characters, as MD5 and our own hash have.
WITH listed AS (
    SELECT DISTINCT ON (path) path, size, modified_at, changed_at, etag
    FROM sync_object o
    WHERE job_id = $1 AND NOT sidecar AND reason IS NULL
      AND NOT EXISTS (SELECT FROM source_deletion d
                      WHERE d.dataset_id = $2 AND d.path = o.path AND d.finished_at IS NULL)
    ORDER BY path, modified_at DESC, etag, size
), sidecar AS (
    SELECT path AS image, sidecar_path AS path, sidecar_etag AS etag FROM sync_sidecar WHERE job_id = $1
), unchanged AS (
    -- Files that were replaced or renamed meanwhile may be listed twice: then the difference counts.
    SELECT unnest(source_ids) AS id FROM sync_unchanged WHERE job_id = $1
    EXCEPT
    SELECT source.id FROM sync_object o JOIN source ON source.dataset_id = $2 AND source.path = o.path
    WHERE o.job_id = $1 AND source.status <> 'GONE'
), known AS (
    SELECT DISTINCT ON (source.path) source.*, sample.id AS sample_id, sample.labeled_origin,
           coalesce(source.content_hash, CASE WHEN length(source.etag) = 32 THEN source.etag END) AS content
    FROM source LEFT JOIN sample ON sample.source_id = source.id
    WHERE source.dataset_id = $2 AND (source.status <> 'GONE' OR sample.id IS NOT NULL)
      AND NOT EXISTS (SELECT FROM unchanged u WHERE u.id = source.id)
    ORDER BY source.path, sample.id IS NULL, source.id
), compared AS (
    SELECT l.path, l.size, l.modified_at, l.changed_at, l.etag, k.id AS source_id, k.sample_id, k.status,
           CASE WHEN k.id IS NULL THEN 'NEW'
                WHEN k.size <> l.size OR k.modified_at <> l.modified_at OR k.changed_at <> l.changed_at
                  OR k.etag <> l.etag OR k.status = 'GONE' OR k.content IS NULL AND k.status = 'PRESENT'
                  OR ($6::boolean AND l.etag IS NULL)
                THEN 'CHANGED' END AS action,
           CASE WHEN l.etag = k.etag AND l.size = k.size THEN k.content
                WHEN length(l.etag) = 32 THEN l.etag END AS content,
           k.content AS old_content, k.size AS old_size, k.pixel_hash AS old_pixels,
           CASE WHEN k.sample_id IS NULL THEN s.path IS NOT NULL
                WHEN $4::boolean THEN s.etag <> k.sidecar_etag OR k.sidecar_etag IS NULL OR k.labeled_origin <> 'SYNC'
                WHEN coalesce(k.labeled_origin, 'SYNC') = 'SYNC' THEN s.etag IS DISTINCT FROM k.sidecar_etag
                ELSE false END AND s.path IS NOT NULL AS sidecar_due,
           coalesce(k.labeled_origin, 'SYNC') = 'SYNC' AS may_say, s.path AS sidecar_path, s.etag AS sidecar_etag
    FROM listed l LEFT JOIN known k ON k.path = l.path LEFT JOIN sidecar s ON s.image = l.path
), planned AS (
    SELECT coalesce(action, CASE WHEN status = 'UNREADABLE' THEN 'UNREADABLE'
                                 WHEN sample_id IS NULL THEN CASE WHEN $5::boolean THEN 'RESTORED' END
                                 WHEN sidecar_due THEN 'SIDECAR' END) AS action,
           path, size, modified_at, changed_at, etag, source_id,
           -- What it says may lie elsewhere on an image that was replaced.
           coalesce(sidecar_due OR (action = 'CHANGED' AND may_say AND sidecar_path IS NOT NULL), false) AS sidecar_due,
           sidecar_path, sidecar_etag, content, old_content, old_size, old_pixels
    FROM compared
    UNION ALL
    SELECT 'VANISHED', path, size, modified_at, changed_at, etag, id, false, NULL, NULL,
           content, content, size, pixel_hash
    FROM known k
    WHERE $3::boolean
      AND NOT EXISTS (SELECT FROM sync_object o WHERE o.job_id = $1 AND NOT o.sidecar AND o.path = k.path)
), differing AS MATERIALIZED (
    SELECT * FROM planned WHERE action IS NOT NULL
), origin AS MATERIALIZED (
    -- What may have moved: contents that have left their paths, or seem to.
    SELECT DISTINCT old_content, old_size FROM differing WHERE action IN ('CHANGED', 'VANISHED')
)
INSERT INTO sync_item (job_id, position, action, path, size, modified_at, changed_at, etag, source_id, sidecar_due,
                       sidecar_path, sidecar_etag, content, old_content, old_size, old_pixels, inspect_first)
SELECT $1, row_number() OVER (ORDER BY action = 'VANISHED', path), action, path, size, modified_at, changed_at, etag,
       source_id, sidecar_due, sidecar_path, sidecar_etag, content, d.old_content, d.old_size, old_pixels,
       -- Only reading shows whether this is one of them: where the listing knows no contents, of any size; elsewhere of
       -- the same size, unless the listing shows that it is one.
       action IN ('NEW', 'CHANGED') AND CASE WHEN etag IS NULL THEN EXISTS (SELECT FROM origin)
                                             ELSE sizes.old_size IS NOT NULL AND same.old_size IS NULL END
FROM differing d
LEFT JOIN (SELECT DISTINCT old_size FROM origin) sizes ON sizes.old_size = d.size
LEFT JOIN origin same ON same.old_size = d.size AND same.old_content = d.content

-- name: count
SELECT count(*) FILTER (WHERE action <> 'VANISHED') AS merges, count(*) AS items FROM sync_item WHERE job_id = $1

-- name: vanished
SELECT position, path FROM sync_item WHERE job_id = $1 AND position > $2 ORDER BY position LIMIT $3

-- name: spare_found
UPDATE sync_item SET settled = true WHERE job_id = $1 AND position = ANY($2::bigint[])
