"""Which other datasets and versions use the objects of some samples, as SQL over a table `selected` of sample ids.

Writers and the read compiler run the same statements, each composed with a subquery that both need. CONDITION is
replaced by a condition on `sample`.
"""

# One input path may lie below another, so whole paths are compared: the input path, a slash, the path below it.
NEIGHBOURS = """(
    SELECT other.id, rtrim(own.input_path, '/') || '/' AS ours, rtrim(other.input_path, '/') || '/' AS theirs
    FROM dataset own JOIN dataset other ON other.id <> own.id AND other.deleted_at IS NULL
    WHERE own.id = :dataset_id
)"""
# The sources of other datasets that are the same objects as the selected samples' own.
PEERS = f"""(
    SELECT sample.id AS sample_id, peer.id, peer.dataset_id
    FROM {NEIGHBOURS} AS neighbour
    CROSS JOIN selected
    JOIN sample ON sample.id = selected.id
    JOIN source ON source.id = sample.source_id
    JOIN source peer ON peer.dataset_id = neighbour.id AND peer.status <> 'GONE'
        AND peer.path = substr(neighbour.ours || source.path, length(neighbour.theirs) + 1)
    WHERE (starts_with(neighbour.ours, neighbour.theirs) OR starts_with(neighbour.theirs, neighbour.ours))
      AND starts_with(neighbour.ours || source.path, neighbour.theirs)
      AND (CONDITION)
)"""
IMPACT = f"""
SELECT count(DISTINCT peer.sample_id) AS shared, coalesce(array_agg(DISTINCT peer.dataset_id), '{{}}') AS datasets
FROM {PEERS} AS peer JOIN sample sharing ON sharing.source_id = peer.id
"""
# Versions, of any dataset, in which a sample shows one of these objects: this sample, or one that showed it before.
VERSIONS = f"""
SELECT v.id, v.dataset_id FROM version v
WHERE v.id IN (
    SELECT w.id FROM (
        SELECT DISTINCT revision.dataset_id, revision.since, revision.until
        FROM (
            SELECT sample.source_id AS id FROM selected JOIN sample USING (id) WHERE (CONDITION)
            UNION ALL SELECT peer.id FROM {PEERS} AS peer
        ) AS used
        JOIN (
            SELECT source_id, dataset_id, since, 9223372036854775807 AS until FROM sample
            UNION ALL SELECT source_id, dataset_id, since, until FROM sample_past_published
        ) AS revision ON revision.source_id = used.id
    ) AS shown
    JOIN version w ON w.dataset_id = shown.dataset_id AND w.revision >= shown.since AND w.revision < shown.until)
ORDER BY v.dataset_id = :dataset_id DESC, v.id DESC LIMIT :max_versions
"""
MAX_VERSIONS = 100  # that are named: the dataset's own, newest first, then those of other datasets
