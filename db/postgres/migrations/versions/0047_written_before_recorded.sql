-- A transaction may write its changes before it has the lock of the dataset's row: it sets labelgraph.revision to that of
-- the change whose rows it writes, and what counters are to change by is added up in labelgraph.counts.
CREATE FUNCTION written_revision(revision bigint) RETURNS bigint LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('labelgraph.revision', true), '')::bigint, revision);

CREATE FUNCTION add_counts(deltas jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dataset SET labeled = dataset.labeled + d.labeled, pending = dataset.pending + d.pending
    FROM (SELECT dataset_id, sum(labeled) AS labeled, sum(pending) AS pending
          FROM jsonb_to_recordset(deltas) AS delta (dataset_id bigint, labeled bigint, pending bigint)
          WHERE dataset_id IS NOT NULL GROUP BY dataset_id) d
    WHERE dataset.id = d.dataset_id AND (d.labeled <> 0 OR d.pending <> 0);
    UPDATE label_count SET annotation_count = label_count.annotation_count + d.annotations,
                           suggestion_count = label_count.suggestion_count + d.suggestions,
                           sample_count = label_count.sample_count + d.samples
    FROM (SELECT label_id, coalesce(sum(annotations), 0) AS annotations, coalesce(sum(suggestions), 0) AS suggestions,
                 coalesce(sum(samples), 0) AS samples
          FROM jsonb_to_recordset(deltas) AS delta (label_id bigint, annotations bigint, suggestions bigint, samples bigint)
          WHERE label_id IS NOT NULL GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id AND (d.annotations <> 0 OR d.suggestions <> 0 OR d.samples <> 0);
END $$;

-- Changes counters, or notes by how much they are to change. Without deltas, nothing.
CREATE FUNCTION count_changes(deltas jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nullif(current_setting('labelgraph.revision', true), '') IS NULL THEN
        PERFORM add_counts(deltas);
    ELSIF deltas IS NOT NULL THEN
        PERFORM set_config('labelgraph.counts', (noted_counts() || deltas)::text, true);
    END IF;
END $$;

CREATE FUNCTION noted_counts() RETURNS jsonb LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('labelgraph.counts', true), ''), '[]')::jsonb;

-- Records changes that were written, and changes the counters. From here on the transaction changes them at once.
CREATE FUNCTION record_written(written_dataset bigint, kind text, ids bigint[], revisions bigint[], actors text[],
                               summaries text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    recorded timestamptz;
BEGIN
    UPDATE dataset SET revision = revision + cardinality(ids), updated_at = greatest(updated_at, clock_timestamp())
    WHERE dataset.id = written_dataset RETURNING updated_at INTO recorded;
    INSERT INTO change (id, dataset_id, revision, kind, actor, at, summary, undoable)
    SELECT written.id, written_dataset, written.revision, record_written.kind, written.actor, recorded, written.summary, true
    FROM unnest(ids, revisions, actors, summaries) AS written (id, revision, actor, summary);
    PERFORM set_config('labelgraph.revision', '', true);
    PERFORM add_counts(noted_counts());
    PERFORM set_config('labelgraph.counts', '', true);
END $$;

CREATE OR REPLACE FUNCTION annotation_count_inserted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_changes((
        SELECT jsonb_agg(jsonb_build_object('label_id', label_id, 'annotations', confirmed, 'suggestions', suggested))
        FROM (SELECT label_id, count(*) FILTER (WHERE confirmed) AS confirmed,
                     count(*) FILTER (WHERE NOT confirmed) AS suggested FROM after GROUP BY label_id) d));
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
    PERFORM count_changes((
        SELECT jsonb_agg(jsonb_build_object('label_id', label_id, 'annotations', confirmed, 'suggestions', suggested))
        FROM (SELECT label_id, coalesce(sum(n) FILTER (WHERE confirmed), 0) AS confirmed,
                     coalesce(sum(n) FILTER (WHERE NOT confirmed), 0) AS suggested
              FROM (SELECT label_id, confirmed, -count(*) AS n FROM before GROUP BY 1, 2
                    UNION ALL SELECT label_id, confirmed, count(*) FROM after GROUP BY 1, 2) s
              GROUP BY label_id) d
        WHERE confirmed <> 0 OR suggested <> 0));
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
    PERFORM count_changes((
        SELECT jsonb_agg(jsonb_build_object('label_id', label_id, 'annotations', -confirmed, 'suggestions', -suggested))
        FROM (SELECT label_id, count(*) FILTER (WHERE confirmed) AS confirmed,
                     count(*) FILTER (WHERE NOT confirmed) AS suggested FROM before GROUP BY label_id) d));
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
    PERFORM count_changes((
        SELECT jsonb_agg(delta) FROM (
            SELECT jsonb_build_object('dataset_id', dataset_id,
                                      'labeled', coalesce(sum(n) FILTER (WHERE state = 'LABELED'), 0),
                                      'pending', coalesce(sum(n) FILTER (WHERE state = 'PENDING'), 0)) AS delta
            FROM (SELECT dataset_id, state, -count(*) AS n FROM before GROUP BY 1, 2
                  UNION ALL SELECT dataset_id, state, count(*) FROM after GROUP BY 1, 2) s
            GROUP BY dataset_id
            UNION ALL
            SELECT jsonb_build_object('label_id', label_id, 'samples', sum(n))
            FROM (SELECT label_id, -count(*) AS n FROM before, unnest(label_ids) label_id GROUP BY 1
                  UNION ALL SELECT label_id, count(*) FROM after, unnest(label_ids) label_id GROUP BY 1) s
            GROUP BY label_id HAVING sum(n) <> 0
        ) every));
    RETURN NULL;
END $$;

DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('refresh_history'::regproc), 'SELECT id, revision%5$s FROM dataset', 'SELECT id, written_revision(revision) AS revision%5$s FROM dataset');
    PERFORM refresh_history(fact) FROM unnest(ARRAY['label', 'sample', 'annotation', 'verdict']) AS fact;
END $$;
