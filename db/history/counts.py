"""A recount of all that is counted or derived, from the rows it is drawn from. What it finds is a defect of ours."""

import asyncpg

# One statement sees one state, so this may run beside any number of writers.
WRONG = """
WITH rows AS (SELECT * FROM sample WHERE dataset_id = $1),
facts AS (
    SELECT rows.id,
           coalesce(array_agg(DISTINCT a.label_id ORDER BY a.label_id) FILTER (WHERE a.confirmed), '{}') AS ids,
           coalesce(bool_or(NOT a.confirmed), false) AS suggested
    FROM rows LEFT JOIN annotation a ON a.sample_id = rows.id GROUP BY rows.id
),
told (place, kept, counted) AS (
    SELECT 'dataset.total', total::text, (SELECT count(*)::text FROM rows) FROM dataset WHERE id = $1
    UNION ALL
    SELECT 'dataset.labeled', labeled::text, (SELECT count(*)::text FROM facts WHERE ids <> '{}')
    FROM dataset WHERE id = $1
    UNION ALL
    SELECT 'dataset.pending', pending::text, (SELECT count(*)::text FROM facts WHERE ids = '{}' AND suggested)
    FROM dataset WHERE id = $1
    UNION ALL
    SELECT 'label ' || label.name || ' samples', c.sample_count::text,
           (SELECT count(*)::text FROM facts WHERE label.id = ANY(ids))
    FROM label LEFT JOIN label_count c ON c.label_id = label.id WHERE label.dataset_id = $1
    UNION ALL
    SELECT 'label ' || label.name || ' annotations', c.annotation_count::text,
           (SELECT count(*)::text FROM annotation a WHERE a.label_id = label.id AND a.confirmed)
    FROM label LEFT JOIN label_count c ON c.label_id = label.id WHERE label.dataset_id = $1
    UNION ALL
    SELECT 'sample ' || id || ' label_ids', rows.label_ids::text, facts.ids::text FROM rows JOIN facts USING (id)
    UNION ALL
    SELECT 'sample ' || id || ' state', state,
           CASE WHEN ids <> '{}' THEN 'LABELED' WHEN suggested THEN 'PENDING' ELSE 'UNLABELED' END
    FROM rows JOIN facts USING (id)
    UNION ALL
    SELECT 'sample ' || id || ' labeled_by', (labeled_by IS NOT NULL)::text, (ids <> '{}')::text
    FROM rows JOIN facts USING (id)
    UNION ALL
    SELECT 'dataset.revision', revision::text, (SELECT count(*)::text FROM change WHERE dataset_id = $1)
    FROM dataset WHERE id = $1
)
SELECT place, kept, counted FROM told WHERE kept IS DISTINCT FROM counted ORDER BY place LIMIT 100
"""


async def check(connection: asyncpg.Connection, dataset_id: int) -> list[str]:
    """What does not hold, a line each, at most 100; empty when all is true. Reads the whole dataset."""
    rows = await connection.fetch(WRONG, dataset_id)
    return [f"{row['place']} is {row['kept']}, counted {row['counted']}" for row in rows]
