CREATE OR REPLACE FUNCTION annotation_count_inserted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE label_count SET annotation_count = label_count.annotation_count + d.confirmed,
                           suggestion_count = label_count.suggestion_count + d.suggested
    FROM (SELECT label_id, count(*) FILTER (WHERE confirmed) AS confirmed,
                 count(*) FILTER (WHERE NOT confirmed) AS suggested FROM after GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id;
    IF has_models((SELECT dataset_id FROM after LIMIT 1)) THEN
        INSERT INTO suggestion_count (label_id, model_id, pending, accepted)
        SELECT label_id, model_id, count(*) FILTER (WHERE NOT confirmed), count(*) FILTER (WHERE confirmed)
        FROM after WHERE model_id IS NOT NULL GROUP BY label_id, model_id
        ON CONFLICT (label_id, model_id) DO UPDATE SET pending = suggestion_count.pending + excluded.pending,
                                                       accepted = suggestion_count.accepted + excluded.accepted;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION annotation_count_updated() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE label_count SET annotation_count = label_count.annotation_count + d.confirmed,
                           suggestion_count = label_count.suggestion_count + d.suggested
    FROM (SELECT label_id, coalesce(sum(n) FILTER (WHERE confirmed), 0) AS confirmed,
                 coalesce(sum(n) FILTER (WHERE NOT confirmed), 0) AS suggested
          FROM (SELECT label_id, confirmed, -count(*) AS n FROM before GROUP BY 1, 2
                UNION ALL SELECT label_id, confirmed, count(*) FROM after GROUP BY 1, 2) s
          GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id AND (d.confirmed <> 0 OR d.suggested <> 0);
    IF has_models((SELECT dataset_id FROM after LIMIT 1)) THEN
        INSERT INTO suggestion_count (label_id, model_id)
        SELECT DISTINCT label_id, model_id FROM after WHERE model_id IS NOT NULL ON CONFLICT DO NOTHING;
        UPDATE suggestion_count c SET pending = c.pending + d.pending, accepted = c.accepted + d.accepted
        FROM (SELECT label_id, model_id, coalesce(sum(n) FILTER (WHERE NOT confirmed), 0) AS pending,
                     coalesce(sum(n) FILTER (WHERE confirmed), 0) AS accepted
              FROM (SELECT label_id, model_id, confirmed, -count(*) AS n FROM before WHERE model_id IS NOT NULL
                    GROUP BY 1, 2, 3
                    UNION ALL SELECT label_id, model_id, confirmed, count(*) FROM after WHERE model_id IS NOT NULL
                    GROUP BY 1, 2, 3) s
              GROUP BY label_id, model_id) d
        WHERE c.label_id = d.label_id AND c.model_id = d.model_id AND (d.pending <> 0 OR d.accepted <> 0);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION annotation_count_deleted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE label_count SET annotation_count = label_count.annotation_count - d.confirmed,
                           suggestion_count = label_count.suggestion_count - d.suggested
    FROM (SELECT label_id, count(*) FILTER (WHERE confirmed) AS confirmed,
                 count(*) FILTER (WHERE NOT confirmed) AS suggested FROM before GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id;
    IF has_models((SELECT dataset_id FROM before LIMIT 1)) THEN
        UPDATE suggestion_count c SET pending = c.pending - d.pending, accepted = c.accepted - d.accepted
        FROM (SELECT label_id, model_id, count(*) FILTER (WHERE NOT confirmed) AS pending,
                     count(*) FILTER (WHERE confirmed) AS accepted
              FROM before WHERE model_id IS NOT NULL GROUP BY label_id, model_id) d
        WHERE c.label_id = d.label_id AND c.model_id = d.model_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION sample_count_updated() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dataset SET labeled = dataset.labeled + d.labeled, pending = dataset.pending + d.pending
    FROM (SELECT dataset_id, coalesce(sum(n) FILTER (WHERE state = 'LABELED'), 0) AS labeled,
                 coalesce(sum(n) FILTER (WHERE state = 'PENDING'), 0) AS pending
          FROM (SELECT dataset_id, state, -count(*) AS n FROM before GROUP BY 1, 2
                UNION ALL SELECT dataset_id, state, count(*) FROM after GROUP BY 1, 2) s
          GROUP BY dataset_id) d
    WHERE dataset.id = d.dataset_id AND (d.labeled <> 0 OR d.pending <> 0);
    UPDATE label_count SET sample_count = label_count.sample_count + d.n
    FROM (SELECT label_id, sum(n) AS n
          FROM (SELECT label_id, -count(*) AS n FROM before, unnest(label_ids) label_id GROUP BY 1
                UNION ALL SELECT label_id, count(*) FROM after, unnest(label_ids) label_id GROUP BY 1) s
          GROUP BY label_id HAVING sum(n) <> 0) d
    WHERE label_count.label_id = d.label_id;
    RETURN NULL;
END $$;

DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('refresh_history'::regproc), 'SELECT id, written_revision(revision) AS revision%5$s FROM dataset', 'SELECT id, revision%5$s FROM dataset');
    PERFORM refresh_history(fact) FROM unnest(ARRAY['label', 'sample', 'annotation', 'verdict']) AS fact;
END $$;

DROP FUNCTION record_written, count_changes, add_counts, noted_counts, written_revision;
