CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

CREATE FUNCTION public.add_counts(deltas jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.add_dataset_event(dataset bigint, kind text, subject_id bigint, detail text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(3, dataset::int);
    INSERT INTO dataset_event (dataset_id, number, revision, kind, subject_id, detail)
    SELECT d.id, coalesce((SELECT max(number) FROM dataset_event e WHERE e.dataset_id = d.id), 0) + 1, d.revision,
           add_dataset_event.kind, add_dataset_event.subject_id, add_dataset_event.detail
    FROM dataset d WHERE d.id = dataset AND d.deleted_at IS NULL;
    IF FOUND THEN
        PERFORM pg_notify('labelgraph', 'dataset:' || dataset);
    END IF;
END $$;

CREATE FUNCTION public.annotation_count_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.annotation_count_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.annotation_count_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.annotation_keep() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    head record;
BEGIN
    FOR head IN
        SELECT id, written_revision(revision) AS revision FROM dataset
        WHERE deleted_at IS NULL AND id = ANY (ARRAY(SELECT DISTINCT dataset_id FROM before))
    LOOP
        IF TG_OP = 'UPDATE' THEN
            CONTINUE WHEN head.revision <> (SELECT min(since) FROM after WHERE dataset_id = head.id);
        END IF;
        INSERT INTO annotation_past (id, dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, confidence, confirmed, shape, since, attributes, model_id, sample_created_at, until)
        SELECT o.id, o.dataset_id, o.sample_id, o.label_id, o.labeled_by, o.labeled_at, o.origin, o.confidence, o.confirmed, o.shape, o.since, o.attributes, o.model_id, o.sample_created_at, head.revision
        FROM before o WHERE o.dataset_id = head.id AND o.since < head.revision;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION public.annotation_suggested() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.sample_created_at := (SELECT created_at FROM sample WHERE id = NEW.sample_id);
    RETURN NEW;
END $$;

CREATE FUNCTION public.answer_too_long() RETURNS text
    LANGUAGE plpgsql
    AS $$
        BEGIN
            RAISE EXCEPTION 'the answer is too long' USING ERRCODE = 'LG413';
        END
        $$;

CREATE FUNCTION public.change_shown() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    alone boolean := pg_try_advisory_xact_lock(5, NEW.dataset_id::int);
    shown bigint := CASE WHEN alone THEN (SELECT max(revision) FROM version WHERE dataset_id = NEW.dataset_id)
                         ELSE NEW.revision END;
BEGIN
    UPDATE sample_past SET published = true
    WHERE NOT published AND dataset_id = NEW.dataset_id AND until = NEW.revision AND since <= shown;
    RETURN NULL;
END $$;

CREATE FUNCTION public.composed(path text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN octet_length(path) = char_length(path) THEN path ELSE normalize(path, NFC) END
$$;

CREATE FUNCTION public.count_changes(deltas jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF nullif(current_setting('labelgraph.revision', true), '') IS NULL THEN
        PERFORM add_counts(deltas);
    ELSIF deltas IS NOT NULL THEN
        PERFORM set_config('labelgraph.counts', (noted_counts() || deltas)::text, true);
    END IF;
END $$;

CREATE FUNCTION public.dataset_named(wanted text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT id FROM dataset WHERE name = wanted AND deleted_at IS NULL
$$;

CREATE FUNCTION public.derived_state(sample bigint) RETURNS TABLE(label_ids bigint[], state text, suggestion_confidence double precision, suggestion_margin double precision, suggestion_entropy double precision, suggestion_disagreement double precision, suggestion_conflict double precision, suggestion_lowest double precision)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT a.label_ids, sample_state(a.label_ids, a.suggestions > 0),
           s.scores[1], s.scores[2], s.scores[3], s.scores[4], s.scores[5], a.lowest
    FROM (SELECT coalesce(array_agg(DISTINCT label_id ORDER BY label_id) FILTER (WHERE confirmed), '{}') AS label_ids,
                 count(*) FILTER (WHERE NOT confirmed) AS suggestions,
                 max(coalesce(confidence, 0)) FILTER (WHERE NOT confirmed) AS surest,
                 min(coalesce(confidence, 0)) FILTER (WHERE NOT confirmed) AS lowest
          FROM annotation WHERE sample_id = derived_state.sample) a
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN a.suggestions = 0 THEN NULL
            WHEN a.suggestions > 1 OR a.label_ids <> '{}' THEN suggestion_scores(derived_state.sample, a.label_ids)
            WHEN a.surest > 0 AND a.surest < 1
            THEN ARRAY[a.surest, greatest(2 * a.surest - 1, 0),
                       abs(a.surest * ln(a.surest) + (1 - a.surest) * ln(1 - a.surest)) / ln(2::float8), NULL, NULL]
            ELSE ARRAY[a.surest, a.surest, 0, NULL, NULL] END AS scores
        OFFSET 0) s
$$;

CREATE FUNCTION public.facets_key(path text, state text, labeled_by text, hard boolean, usage text) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN hashtextextended(left(path, -strpos(reverse('/' || path), '/')), hashtextextended(
        coalesce(labeled_by, ''), hashtextextended(state || hard::text || coalesce(usage, ''), 0)));
END $$;

CREATE FUNCTION public.has_models(dataset bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN EXISTS (SELECT FROM model WHERE dataset_id = dataset);
END $$;

CREATE FUNCTION public.job_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM add_dataset_event(NEW.dataset_id, 'JOB', NEW.id, NEW.status);
    RETURN NULL;
END $$;

CREATE FUNCTION public.label_count_close() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM verdict USING before WHERE verdict.label_id = before.id;
    DELETE FROM suggestion_count USING before WHERE suggestion_count.label_id = before.id;
    DELETE FROM label_count USING before WHERE label_count.label_id = before.id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.label_count_open() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO label_count (label_id) SELECT id FROM after;
    RETURN NULL;
END $$;

CREATE FUNCTION public.label_keep() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    head record;
BEGIN
    FOR head IN
        SELECT id, written_revision(revision) AS revision FROM dataset
        WHERE deleted_at IS NULL AND id = ANY (ARRAY(SELECT DISTINCT dataset_id FROM before))
    LOOP
        IF TG_OP = 'UPDATE' THEN
            CONTINUE WHEN head.revision <> (SELECT min(since) FROM after WHERE dataset_id = head.id);
        END IF;
        INSERT INTO label_past (id, dataset_id, name, color, shortcut, since, until)
        SELECT o.id, o.dataset_id, o.name, o.color, o.shortcut, o.since, head.revision
        FROM before o WHERE o.dataset_id = head.id AND o.since < head.revision;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION public.labels_all_named(dataset bigint, names text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT CASE WHEN count(*) = cardinality(names) THEN coalesce(array_agg(l.id), '{}') END
            FROM label l WHERE l.dataset_id = dataset AND l.name = ANY (names));
END $$;

CREATE FUNCTION public.labels_all_named_in(version bigint, names text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT CASE WHEN count(*) = cardinality(names) THEN coalesce(array_agg(l.label_id), '{}') END
            FROM version_label l WHERE l.version_id = labels_all_named_in.version AND l.name = ANY (names));
END $$;

CREATE FUNCTION public.labels_few(dataset bigint, ids bigint[], every boolean, page bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    samples float8;
    matches float8;
BEGIN
    SELECT greatest(d.total, 1) INTO samples FROM dataset d WHERE d.id = labels_few.dataset;
    SELECT CASE WHEN every THEN samples * exp(sum(ln(greatest(c.sample_count, 1) / samples))) ELSE sum(c.sample_count) END
    INTO matches
    FROM label l JOIN label_count c ON c.label_id = l.id
    WHERE l.dataset_id = labels_few.dataset AND l.id = ANY (ids);
    RETURN power(matches, 2) < page * samples;
END $$;

CREATE FUNCTION public.labels_few_in(version bigint, ids bigint[], every boolean, page bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    samples float8;
    matches float8;
BEGIN
    SELECT greatest(v.total, 1) INTO samples FROM version v WHERE v.id = labels_few_in.version;
    SELECT CASE WHEN every THEN samples * exp(sum(ln(greatest(l.sample_count, 1) / samples))) ELSE sum(l.sample_count) END
    INTO matches
    FROM version_label l WHERE l.version_id = labels_few_in.version AND l.label_id = ANY (ids);
    RETURN power(matches, 2) < page * samples;
END $$;

CREATE FUNCTION public.labels_key(label_ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN CASE
        WHEN cardinality(label_ids) <= 3 AND coalesce(greatest(label_ids[1], label_ids[2], label_ids[3]), 0) < 2097152
        THEN coalesce(label_ids[1], 0) | (coalesce(label_ids[2], 0) << 21) | (coalesce(label_ids[3], 0) << 42)
        ELSE hash_array_extended(label_ids, 0) | (1::bigint << 63) END;
END $$;

CREATE FUNCTION public.labels_named(dataset bigint, names text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(l.id), '{}') FROM label l WHERE l.dataset_id = dataset AND l.name = ANY (names));
END $$;

CREATE FUNCTION public.labels_named_in(version bigint, names text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(l.label_id), '{}')
            FROM version_label l WHERE l.version_id = labels_named_in.version AND l.name = ANY (names));
END $$;

CREATE FUNCTION public.look_parts(dataset bigint, hash bigint) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
DECLARE
    a bigint := hash >> 48 & 65535;
    b bigint := hash >> 32 & 65535;
    c bigint := hash >> 16 & 65535;
    d bigint := hash & 65535;
    base bigint := (dataset & 134217727) << 35;
BEGIN
    RETURN ARRAY[
        base | a << 16 | b, base | 1::bigint << 32 | a << 16 | c, base | 2::bigint << 32 | a << 16 | d,
        base | 3::bigint << 32 | b << 16 | c, base | 4::bigint << 32 | b << 16 | d, base | 5::bigint << 32 | c << 16 | d
    ];
END $$;

CREATE FUNCTION public.models_named(dataset bigint, names text[], versions text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(m.id), '{}')
            FROM unnest(names, versions) AS named (name, version)
            JOIN model m ON m.dataset_id = models_named.dataset AND m.name = named.name AND m.version = named.version);
END $$;

CREATE FUNCTION public.natural_order(path text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
DECLARE
    texts text[] := regexp_split_to_array(path, '[0-9]+');  -- before, between and after the numbers
    ordered text := texts[1];
    next_text int := 2;
    digits text;
BEGIN
    FOREACH digits IN ARRAY regexp_split_to_array(path, '[^0-9]+') LOOP
        CONTINUE WHEN digits = '';
        digits := ltrim(digits, '0');
        ordered := ordered || CASE WHEN length(digits) < 9 THEN length(digits)::text
                                   ELSE '9' || lpad(length(digits)::text, 4, '0') END || digits || texts[next_text];
        next_text := next_text + 1;
    END LOOP;
    RETURN ordered;
END $$;

CREATE FUNCTION public.never_generic() RETURNS boolean
    LANGUAGE plpgsql STABLE COST 1e+12 PARALLEL SAFE
    AS $$
BEGIN
    RETURN true;
END $$;

CREATE FUNCTION public.noted_counts() RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN (COALESCE(NULLIF(current_setting('labelgraph.counts'::text, true), ''::text), '[]'::text))::jsonb;

CREATE FUNCTION public.record_written(written_dataset bigint, kind text, ids bigint[], revisions bigint[], actors text[], summaries text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.refresh_history(fact text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
    past text := fact || '_past';
    missing record;
    surplus text;
    names text;
    olds text;
    published boolean;
BEGIN
    SELECT string_agg(attname, ', ') INTO surplus
    FROM pg_attribute
    WHERE attrelid = past::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('until', 'published')
      AND attname NOT IN (SELECT attname FROM pg_attribute
                          WHERE attrelid = fact::regclass AND attnum > 0 AND NOT attisdropped);
    IF surplus IS NOT NULL THEN
        RAISE EXCEPTION '% has columns that % has not: %', past, fact, surplus
            USING HINT = 'Rename or drop a column in both tables.';
    END IF;

    FOR missing IN
        SELECT quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS kind, a.attnotnull AS required,
               CASE WHEN c.oid <> t.typcollation THEN ' COLLATE ' || quote_ident(c.collname) ELSE '' END AS collation,
               pg_get_expr(d.adbin, d.adrelid) AS initial, a.attgenerated <> '' AS generated
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_collation c ON c.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = fact::regclass AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname NOT IN (SELECT attname FROM pg_attribute WHERE attrelid = past::regclass AND NOT attisdropped)
        ORDER BY a.attnum
    LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN %s %s%s %s%s', past, missing.name, missing.kind, missing.collation,
                       CASE WHEN missing.generated THEN format('GENERATED ALWAYS AS (%s) STORED', missing.initial)
                            ELSE 'DEFAULT ' || coalesce(missing.initial, 'NULL') END,
                       CASE WHEN missing.required THEN ' NOT NULL' ELSE '' END);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %s DROP %s', past, missing.name,
                       CASE WHEN missing.generated THEN 'EXPRESSION' ELSE 'DEFAULT' END);
    END LOOP;

    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg('o.' || quote_ident(attname), ', ' ORDER BY attnum)
    INTO names, olds
    FROM pg_attribute
    WHERE attrelid = fact::regclass AND attnum > 0 AND NOT attisdropped;
    published := EXISTS (SELECT FROM pg_attribute WHERE attrelid = past::regclass AND attname = 'published');
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql AS $trigger$
DECLARE
    head record;
BEGIN
    FOR head IN
        SELECT id, written_revision(revision) AS revision%5$s FROM dataset
        WHERE deleted_at IS NULL AND id = ANY (ARRAY(SELECT DISTINCT dataset_id FROM before))
    LOOP
        IF TG_OP = 'UPDATE' THEN
            CONTINUE WHEN head.revision <> (SELECT min(since) FROM after WHERE dataset_id = head.id);
        END IF;
        INSERT INTO %2$I (%3$s, until%6$s)
        SELECT %4$s, head.revision%7$s
        FROM before o WHERE o.dataset_id = head.id AND o.since < head.revision;
    END LOOP;
    RETURN NULL;
END $trigger$
    $make$, fact || '_keep', past, names, olds,
    CASE WHEN published THEN ', (SELECT max(v.revision) FROM version v WHERE v.dataset_id = dataset.id) AS shown' END,
    CASE WHEN published THEN ', published' END,
    CASE WHEN published THEN ', coalesce(o.since <= head.shown, false)' END);
END $_$;

CREATE FUNCTION public.sample_count_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE dataset SET total = dataset.total - d.total, labeled = dataset.labeled - d.labeled,
                       pending = dataset.pending - d.pending
    FROM (SELECT dataset_id, count(*) AS total, count(*) FILTER (WHERE state = 'LABELED') AS labeled,
                 count(*) FILTER (WHERE state = 'PENDING') AS pending
          FROM before GROUP BY dataset_id) d
    WHERE dataset.id = d.dataset_id;
    UPDATE label_count SET sample_count = label_count.sample_count - d.n
    FROM (SELECT label_id, count(*) AS n FROM before, unnest(label_ids) label_id GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.sample_count_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE dataset SET total = dataset.total + d.total, labeled = dataset.labeled + d.labeled,
                       pending = dataset.pending + d.pending
    FROM (SELECT dataset_id, count(*) AS total, count(*) FILTER (WHERE state = 'LABELED') AS labeled,
                 count(*) FILTER (WHERE state = 'PENDING') AS pending
          FROM after GROUP BY dataset_id) d
    WHERE dataset.id = d.dataset_id;
    UPDATE label_count SET sample_count = label_count.sample_count + d.n
    FROM (SELECT label_id, count(*) AS n FROM after, unnest(label_ids) label_id GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.sample_count_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.sample_keep() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    head record;
BEGIN
    FOR head IN
        SELECT id, written_revision(revision) AS revision, (SELECT max(v.revision) FROM version v WHERE v.dataset_id = dataset.id) AS shown FROM dataset
        WHERE deleted_at IS NULL AND id = ANY (ARRAY(SELECT DISTINCT dataset_id FROM before))
    LOOP
        IF TG_OP = 'UPDATE' THEN
            CONTINUE WHEN head.revision <> (SELECT min(since) FROM after WHERE dataset_id = head.id);
        END IF;
        INSERT INTO sample_past (id, dataset_id, source_id, path, created_at, added_at, state, label_ids, labeled_by, labeled_at, labeled_origin, hard, usage, since, path_order, labels_key, facets_key, suggestion_confidence, suggestion_margin, suggestion_entropy, suggestion_disagreement, suggestion_conflict, suggestion_lowest, until, published)
        SELECT o.id, o.dataset_id, o.source_id, o.path, o.created_at, o.added_at, o.state, o.label_ids, o.labeled_by, o.labeled_at, o.labeled_origin, o.hard, o.usage, o.since, o.path_order, o.labels_key, o.facets_key, o.suggestion_confidence, o.suggestion_margin, o.suggestion_entropy, o.suggestion_disagreement, o.suggestion_conflict, o.suggestion_lowest, head.revision, coalesce(o.since <= head.shown, false)
        FROM before o WHERE o.dataset_id = head.id AND o.since < head.revision;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION public.sample_state(label_ids bigint[], suggested boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN label_ids <> '{}' THEN 'LABELED' WHEN suggested THEN 'PENDING' ELSE 'UNLABELED' END
$$;

CREATE FUNCTION public.samples_suggested(dataset bigint, models bigint[], labels bigint[], lowest double precision, highest double precision, most bigint) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
DECLARE
    found bigint[];
BEGIN
    EXECUTE 'SELECT ARRAY(SELECT sample_id FROM annotation WHERE dataset_id = $1 AND NOT confirmed'
        || CASE WHEN models IS NOT NULL THEN ' AND model_id = ANY ($2)' ELSE '' END
        || CASE WHEN labels IS NOT NULL THEN ' AND label_id = ANY ($3)' ELSE '' END
        || ' AND coalesce(confidence, 0) BETWEEN $4 AND $5 LIMIT $6)'
    INTO found USING dataset, models, labels, coalesce(lowest, 0), coalesce(highest, 1), most + 1;
    RETURN CASE WHEN cardinality(found) <= most THEN found END;
END $_$;

CREATE FUNCTION public.shuffle_bucket(id bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT ((id % 2147483647 * 1103515245) >> 16 & 1023)::int
$$;

CREATE FUNCTION public.suggestion_scores(sample bigint, label_ids bigint[]) RETURNS double precision[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (
        SELECT suggestion_scores(array_agg(model_id) FILTER (WHERE NOT confirmed),
                                 array_agg(label_id) FILTER (WHERE NOT confirmed),
                                 array_agg(confidence) FILTER (WHERE NOT confirmed),
                                 array_agg(shape IS NULL) FILTER (WHERE NOT confirmed), suggestion_scores.label_ids)
        FROM annotation WHERE sample_id = suggestion_scores.sample);
END $$;

CREATE FUNCTION public.suggestion_scores(models bigint[], labels bigint[], confidences double precision[], whole boolean[], label_ids bigint[]) RETURNS double precision[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (
        SELECT ARRAY[
            max(surest),
            min(CASE WHEN second IS NULL THEN greatest(2 * surest - 1, 0) ELSE surest - second END),
            max(abs(terms / greatest(total, 1) - ln(greatest(total, 1)) * total / greatest(total, 1)
                    + CASE WHEN total < 1 THEN (1 - total) * ln(1 - total) ELSE 0 END) / ln(2::float8)),
            CASE WHEN count(*) FILTER (WHERE is_whole) > 1
                 THEN 1 - coalesce(max(votes) FILTER (WHERE is_whole)
                                   / nullif(sum(surest ORDER BY surest) FILTER (WHERE is_whole), 0), 1) END,
            max(conflict)]
        FROM (
            SELECT answer.*, sum(surest) OVER (PARTITION BY is_whole, label ORDER BY surest, model
                                               ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS votes
            FROM (
                SELECT model, is_whole,
                       max(confidence) AS surest,
                       (array_agg(confidence ORDER BY confidence DESC))[2] AS second,
                       (array_agg(label ORDER BY confidence DESC, label))[1] AS label,
                       sum(confidence ORDER BY confidence) AS total,
                       sum(CASE WHEN confidence > 0 THEN confidence * ln(confidence) ELSE 0 END ORDER BY confidence)
                           AS terms,
                       max(confidence) FILTER (WHERE label_ids <> '{}' AND label <> ALL (label_ids)) AS conflict
                FROM (SELECT coalesce(s.model, 0) AS model, s.label, coalesce(s.confidence, 0) AS confidence, s.is_whole,
                             CASE WHEN s.is_whole THEN 0 ELSE s.n END AS n
                      FROM unnest(models, labels, confidences, whole)
                           WITH ORDINALITY AS s (model, label, confidence, is_whole, n)) suggestion
                GROUP BY model, is_whole, n
            ) answer
        ) counted);
END $$;

CREATE FUNCTION public.verdict_count_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE suggestion_count c SET accepted = c.accepted - d.accepted, rejected = c.rejected - d.rejected,
                                  corrected = c.corrected - d.corrected
    FROM (SELECT label_id, model_id, count(*) FILTER (WHERE outcome = 'ACCEPTED') AS accepted,
                 count(*) FILTER (WHERE outcome = 'REJECTED') AS rejected,
                 count(*) FILTER (WHERE outcome = 'CORRECTED') AS corrected
          FROM before GROUP BY label_id, model_id) d
    WHERE c.label_id = d.label_id AND c.model_id = d.model_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.verdict_count_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO suggestion_count (label_id, model_id, accepted, rejected, corrected)
    SELECT label_id, model_id, count(*) FILTER (WHERE outcome = 'ACCEPTED'), count(*) FILTER (WHERE outcome = 'REJECTED'),
           count(*) FILTER (WHERE outcome = 'CORRECTED')
    FROM after GROUP BY label_id, model_id
    ON CONFLICT (label_id, model_id) DO UPDATE SET accepted = suggestion_count.accepted + excluded.accepted,
                                                   rejected = suggestion_count.rejected + excluded.rejected,
                                                   corrected = suggestion_count.corrected + excluded.corrected;
    RETURN NULL;
END $$;

CREATE FUNCTION public.verdict_count_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO suggestion_count (label_id, model_id) SELECT DISTINCT label_id, model_id FROM after ON CONFLICT DO NOTHING;
    UPDATE suggestion_count c SET accepted = c.accepted + d.accepted, rejected = c.rejected + d.rejected,
                                  corrected = c.corrected + d.corrected
    FROM (SELECT label_id, model_id, coalesce(sum(n) FILTER (WHERE outcome = 'ACCEPTED'), 0) AS accepted,
                 coalesce(sum(n) FILTER (WHERE outcome = 'REJECTED'), 0) AS rejected,
                 coalesce(sum(n) FILTER (WHERE outcome = 'CORRECTED'), 0) AS corrected
          FROM (SELECT label_id, model_id, outcome, -count(*) AS n FROM before GROUP BY 1, 2, 3
                UNION ALL SELECT label_id, model_id, outcome, count(*) FROM after GROUP BY 1, 2, 3) s
          GROUP BY label_id, model_id) d
    WHERE c.label_id = d.label_id AND c.model_id = d.model_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.verdict_keep() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    head record;
BEGIN
    FOR head IN
        SELECT id, written_revision(revision) AS revision FROM dataset
        WHERE deleted_at IS NULL AND id = ANY (ARRAY(SELECT DISTINCT dataset_id FROM before))
    LOOP
        IF TG_OP = 'UPDATE' THEN
            CONTINUE WHEN head.revision <> (SELECT min(since) FROM after WHERE dataset_id = head.id);
        END IF;
        INSERT INTO verdict_past (id, dataset_id, sample_id, label_id, model_id, shape, confidence, outcome, since, until)
        SELECT o.id, o.dataset_id, o.sample_id, o.label_id, o.model_id, o.shape, o.confidence, o.outcome, o.since, head.revision
        FROM before o WHERE o.dataset_id = head.id AND o.since < head.revision;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION public.verdicts_of_samples_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF has_models((SELECT dataset_id FROM before LIMIT 1)) THEN
        DELETE FROM verdict USING before WHERE verdict.sample_id = before.id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.version_dataset(version bigint) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT v.dataset_id FROM version v WHERE v.id = version_dataset.version);
END $$;

CREATE FUNCTION public.version_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_dataset_event(NEW.dataset_id, 'VERSION_PUBLISHED', NEW.id, NEW.name);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_dataset_event(OLD.dataset_id, 'VERSION_DELETED', OLD.id, OLD.name);
    ELSE
        PERFORM add_dataset_event(NEW.dataset_id, 'MANIFEST_WRITTEN', NEW.id, NEW.name);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.version_of(dataset bigint, version bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    found bigint;
BEGIN
    SELECT revision INTO found FROM version WHERE id = version_of.version AND dataset_id = version_of.dataset;
    IF found IS NULL THEN
        RAISE EXCEPTION 'no such version' USING ERRCODE = 'LG404';
    END IF;
    RETURN found;
END $$;

CREATE FUNCTION public.version_past_few(version bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM version v JOIN sample_past_published p ON p.dataset_id = v.dataset_id AND p.until > v.revision
        WHERE v.id = version_past_few.version OFFSET 100);
END $$;

CREATE FUNCTION public.version_revision(version bigint) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    RETURN (SELECT v.revision FROM version v WHERE v.id = version_revision.version);
END $$;

CREATE FUNCTION public.version_shows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(5, NEW.dataset_id::int);
    UPDATE sample_past SET published = true
    WHERE NOT published AND dataset_id = NEW.dataset_id AND since <= NEW.revision AND until > NEW.revision;
    RETURN NULL;
END $$;

CREATE FUNCTION public.written_revision(revision bigint) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN COALESCE((NULLIF(current_setting('labelgraph.revision'::text, true), ''::text))::bigint, revision);

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.annotation (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    sample_id bigint NOT NULL,
    label_id bigint NOT NULL,
    labeled_by text NOT NULL,
    labeled_at timestamp with time zone DEFAULT now() NOT NULL,
    origin text NOT NULL,
    confidence double precision,
    confirmed boolean DEFAULT true NOT NULL,
    shape jsonb,
    since bigint NOT NULL,
    attributes jsonb,
    model_id bigint,
    sample_created_at timestamp with time zone,
    CONSTRAINT annotation_attributes_check CHECK (((jsonb_typeof(attributes) = 'object'::text) AND (octet_length((attributes)::text) <= 1024))),
    CONSTRAINT annotation_confidence_check CHECK (((confidence >= (0)::double precision) AND (confidence <= (1)::double precision))),
    CONSTRAINT annotation_model_check CHECK (((model_id IS NULL) OR (confidence IS NOT NULL))),
    CONSTRAINT annotation_origin_check CHECK ((origin = ANY (ARRAY['MANUAL'::text, 'SYNC'::text, 'IMPORT'::text, 'UPLOAD'::text, 'MODEL'::text]))),
    CONSTRAINT annotation_sample_created_check CHECK ((confirmed OR (sample_created_at IS NOT NULL)))
);

ALTER TABLE public.annotation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.annotation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.annotation_past (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    sample_id bigint NOT NULL,
    label_id bigint NOT NULL,
    labeled_by text NOT NULL,
    labeled_at timestamp with time zone NOT NULL,
    origin text NOT NULL,
    confidence double precision,
    confirmed boolean NOT NULL,
    shape jsonb,
    since bigint NOT NULL,
    until bigint NOT NULL,
    attributes jsonb,
    model_id bigint,
    sample_created_at timestamp with time zone
);

CREATE TABLE public.auto_label (
    job_id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    model_kind text NOT NULL,
    min_confidence double precision NOT NULL,
    model_id bigint,
    sample_count bigint DEFAULT 0 NOT NULL,
    evaluated_count bigint,
    accuracy double precision,
    CONSTRAINT auto_label_min_confidence_check CHECK (((min_confidence >= (0)::double precision) AND (min_confidence <= (1)::double precision))),
    CONSTRAINT auto_label_model_kind_check CHECK ((model_kind = ANY (ARRAY['BUILT_IN'::text, 'ONNX'::text, 'HTTP'::text])))
);

CREATE TABLE public.auto_label_confusion (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    actual text NOT NULL COLLATE pg_catalog."C",
    predicted text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL
);

ALTER TABLE public.auto_label_confusion ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auto_label_confusion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auto_label_example (
    job_id bigint NOT NULL,
    number bigint NOT NULL,
    sample_id bigint NOT NULL,
    label_ids bigint[] NOT NULL
);

CREATE TABLE public.auto_label_sample (
    job_id bigint NOT NULL,
    number bigint NOT NULL,
    sample_id bigint NOT NULL
);

CREATE TABLE public.auto_label_score (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    label_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    sample_count bigint NOT NULL,
    is_left_out boolean NOT NULL,
    "precision" double precision,
    recall double precision,
    support bigint
);

ALTER TABLE public.auto_label_score ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auto_label_score_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auto_label_threshold (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    min_confidence double precision NOT NULL,
    share double precision NOT NULL,
    "precision" double precision
);

ALTER TABLE public.auto_label_threshold ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auto_label_threshold_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.base (
    dataset_id bigint NOT NULL,
    version_id bigint,
    revision bigint DEFAULT 0 NOT NULL,
    named bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.base_before (
    change_id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    version_id bigint,
    was_clean boolean NOT NULL
);

CREATE TABLE public.change (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    summary text NOT NULL,
    undoable boolean DEFAULT true NOT NULL,
    undone_by bigint,
    job_id bigint
);

ALTER TABLE public.change ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.change_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.dataset (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    description text DEFAULT ''::text NOT NULL,
    type text NOT NULL,
    input_path text NOT NULL,
    output_path text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    deleted_at timestamp with time zone,
    revision bigint DEFAULT 0 NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    labeled bigint DEFAULT 0 NOT NULL,
    pending bigint DEFAULT 0 NOT NULL,
    include text[] DEFAULT '{}'::text[] NOT NULL,
    exclude text[] DEFAULT '{}'::text[] NOT NULL,
    label_names text DEFAULT 'STANDARD'::text NOT NULL,
    image_formats text[] DEFAULT '{JPEG,PNG,BMP}'::text[] NOT NULL,
    compares_looks boolean DEFAULT false NOT NULL,
    CONSTRAINT dataset_counts_check CHECK (((labeled >= 0) AND (pending >= 0) AND ((labeled + pending) <= total))),
    CONSTRAINT dataset_image_formats_check CHECK (((image_formats <@ '{JPEG,PNG,BMP,WEBP,TIFF,GIF,AVIF}'::text[]) AND (cardinality(image_formats) > 0))),
    CONSTRAINT dataset_label_names_check CHECK ((label_names = ANY (ARRAY['STANDARD'::text, 'ANY'::text]))),
    CONSTRAINT dataset_type_check CHECK ((type = ANY (ARRAY['IMAGE_CLASSIFICATION'::text, 'OBJECT_DETECTION'::text, 'IMAGE_SEGMENTATION'::text])))
)
WITH (fillfactor='70');

CREATE TABLE public.dataset_event (
    dataset_id bigint NOT NULL,
    number bigint NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL,
    subject_id bigint NOT NULL,
    detail text NOT NULL,
    CONSTRAINT dataset_event_kind_check CHECK ((kind = ANY (ARRAY['JOB'::text, 'VERSION_PUBLISHED'::text, 'VERSION_DELETED'::text, 'MANIFEST_WRITTEN'::text])))
);

ALTER TABLE public.dataset ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.dataset_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.embedding_model (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    dimension integer NOT NULL,
    embeddings bigint DEFAULT 0 NOT NULL,
    center real[],
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT embedding_model_dimension_check CHECK (((dimension >= 1) AND (dimension <= 4000)))
)
WITH (fillfactor='70');

ALTER TABLE public.embedding_model ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.embedding_model_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.export (
    job_id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    format text NOT NULL,
    images text NOT NULL,
    packing text NOT NULL,
    location text NOT NULL,
    folder text NOT NULL,
    is_temporary boolean NOT NULL,
    expires_at timestamp with time zone,
    sweep_at timestamp with time zone DEFAULT (now() + '00:05:00'::interval),
    revision bigint,
    facts jsonb,
    image_count bigint,
    annotation_count bigint,
    left_out_count bigint,
    missing_count bigint,
    total_size bigint,
    CONSTRAINT export_images_check CHECK ((images = ANY (ARRAY['NONE'::text, 'LINKS'::text, 'INCLUDED'::text]))),
    CONSTRAINT export_packing_check CHECK ((packing = ANY (ARRAY['ZIP'::text, 'TAR'::text, 'FILES'::text])))
);

CREATE TABLE public.export_file (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    path text NOT NULL,
    object text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL
);

ALTER TABLE public.export_file ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.export_file_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.export_sample (
    job_id bigint NOT NULL,
    number bigint NOT NULL,
    sample_id bigint NOT NULL,
    source_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL,
    usage text,
    hard boolean NOT NULL,
    same_stem boolean NOT NULL,
    same_name boolean NOT NULL
);

CREATE TABLE public.idempotency (
    token_id bigint NOT NULL,
    key text NOT NULL,
    field text NOT NULL,
    request_hash bytea NOT NULL,
    outcome jsonb,
    response bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.ignored_files (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    reason text NOT NULL,
    suffix text,
    count bigint NOT NULL,
    examples text[] NOT NULL
);

ALTER TABLE public.ignored_files ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.ignored_files_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.image_feature (
    dataset_id bigint NOT NULL,
    network text NOT NULL COLLATE pg_catalog."C",
    content text NOT NULL COLLATE pg_catalog."C",
    vector bytea NOT NULL
);
ALTER TABLE ONLY public.image_feature ALTER COLUMN vector SET STORAGE EXTERNAL;

CREATE TABLE public.import_file (
    job_id bigint NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE public.import_label (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    sample_count bigint NOT NULL,
    annotation_count bigint NOT NULL
);

ALTER TABLE public.import_label ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.import_label_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE public.import_line (
    job_id bigint NOT NULL,
    "position" bigint NOT NULL,
    path text COLLATE pg_catalog."C",
    origin text COLLATE pg_catalog."C",
    entry text NOT NULL,
    candidates text[] COLLATE pg_catalog."C",
    exact smallint,
    is_stem boolean DEFAULT false NOT NULL,
    matched text
);

CREATE TABLE public.import_notice (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    kind text NOT NULL,
    count bigint NOT NULL,
    examples text[] NOT NULL
);

ALTER TABLE public.import_notice ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.import_notice_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.import_upload (
    staged text NOT NULL COLLATE pg_catalog."C",
    dataset_id bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    file_name text NOT NULL,
    size bigint NOT NULL,
    uploaded integer DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    sweep_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    urls_until timestamp with time zone DEFAULT (now() + '7 days'::interval) NOT NULL
);

CREATE TABLE public.job (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    kind text NOT NULL,
    status text DEFAULT 'QUEUED'::text NOT NULL,
    arguments jsonb DEFAULT '{}'::jsonb NOT NULL,
    requested_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    error_code text,
    error_message text,
    progress double precision,
    scanned bigint DEFAULT 0 NOT NULL,
    added bigint DEFAULT 0 NOT NULL,
    updated bigint DEFAULT 0 NOT NULL,
    removed bigint DEFAULT 0 NOT NULL,
    moved bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    checkpoint jsonb DEFAULT '{}'::jsonb NOT NULL,
    epoch integer DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    cancel_requested boolean DEFAULT false NOT NULL,
    heartbeat_at timestamp with time zone,
    step bigint DEFAULT 0 NOT NULL,
    worker integer,
    ignored bigint DEFAULT 0 NOT NULL,
    labeled bigint DEFAULT 0 NOT NULL,
    error_details jsonb,
    version_id bigint,
    claims integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    format text,
    is_dry_run boolean DEFAULT false NOT NULL,
    matched bigint DEFAULT 0 NOT NULL,
    kept bigint DEFAULT 0 NOT NULL,
    missing bigint DEFAULT 0 NOT NULL,
    beyond bigint DEFAULT 0 NOT NULL,
    unchanged bigint,
    needs text,
    waits_for text,
    CONSTRAINT job_kind_check CHECK ((kind = ANY (ARRAY['SYNC'::text, 'PURGE'::text, 'MANIFEST'::text, 'IMPORT'::text, 'EXPORT'::text, 'LARGE_CHANGE'::text, 'AUTO_LABEL'::text]))),
    CONSTRAINT job_needs_check CHECK ((needs = 'VISION'::text)),
    CONSTRAINT job_progress_check CHECK (((progress >= (0)::double precision) AND (progress <= (1)::double precision))),
    CONSTRAINT job_status_check CHECK ((status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELED'::text]))),
    CONSTRAINT job_waits_for_check CHECK ((waits_for = 'VISION'::text))
)
WITH (fillfactor='70');

ALTER TABLE public.job ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.job_warning (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    path text NOT NULL,
    message text NOT NULL,
    name text,
    count bigint DEFAULT 1 NOT NULL
);

ALTER TABLE public.job_warning ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.job_warning_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.label (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    color text,
    shortcut text COLLATE pg_catalog."C",
    since bigint NOT NULL,
    CONSTRAINT label_color_check CHECK ((color ~ '^#[0-9a-f]{6}$'::text)),
    CONSTRAINT label_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 64))),
    CONSTRAINT label_shortcut_check CHECK ((char_length(shortcut) = 1))
);

CREATE TABLE public.label_count (
    label_id bigint NOT NULL,
    sample_count bigint DEFAULT 0 NOT NULL,
    annotation_count bigint DEFAULT 0 NOT NULL,
    suggestion_count bigint DEFAULT 0 NOT NULL,
    CONSTRAINT label_count_annotation_count_check CHECK ((annotation_count >= 0)),
    CONSTRAINT label_count_sample_count_check CHECK ((sample_count >= 0)),
    CONSTRAINT label_count_suggestion_count_check CHECK ((suggestion_count >= 0))
)
WITH (fillfactor='70');

ALTER TABLE public.label ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.label_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.label_past (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    color text,
    shortcut text COLLATE pg_catalog."C",
    since bigint NOT NULL,
    until bigint NOT NULL
);

CREATE TABLE public.look (
    source_id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    hash bigint
);

CREATE TABLE public.look_hash (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    hash bigint NOT NULL,
    group1 bigint NOT NULL,
    group2 bigint NOT NULL,
    is_shared boolean DEFAULT false NOT NULL
);

ALTER TABLE public.look_hash ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.look_hash_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.model (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    suggested_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT model_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 256))),
    CONSTRAINT model_version_check CHECK (((char_length(version) >= 1) AND (char_length(version) <= 256)))
);

ALTER TABLE public.model ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.model_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.sample (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    source_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'UNLABELED'::text NOT NULL,
    label_ids bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    labeled_by text COLLATE pg_catalog."C",
    labeled_at timestamp with time zone,
    labeled_origin text,
    hard boolean DEFAULT false NOT NULL,
    usage text,
    since bigint NOT NULL,
    path_order text GENERATED ALWAYS AS (public.natural_order(path)) STORED COLLATE pg_catalog."C",
    labels_key bigint GENERATED ALWAYS AS (public.labels_key(label_ids)) STORED,
    facets_key bigint GENERATED ALWAYS AS (public.facets_key(path, state, labeled_by, hard, usage)) STORED,
    suggestion_confidence double precision,
    suggestion_margin double precision,
    suggestion_entropy double precision,
    suggestion_disagreement double precision,
    suggestion_conflict double precision,
    suggestion_lowest double precision,
    CONSTRAINT sample_labeled_check CHECK (((state = 'LABELED'::text) = (cardinality(label_ids) > 0))),
    CONSTRAINT sample_origin_check CHECK ((labeled_origin = ANY (ARRAY['MANUAL'::text, 'SYNC'::text, 'IMPORT'::text, 'UPLOAD'::text, 'MODEL'::text]))),
    CONSTRAINT sample_state_check CHECK ((state = ANY (ARRAY['UNLABELED'::text, 'LABELED'::text, 'PENDING'::text]))),
    CONSTRAINT sample_usage_check CHECK ((usage = ANY (ARRAY['TRAIN'::text, 'EVAL'::text, 'TEST'::text, 'INFERENCE'::text])))
);

ALTER TABLE public.sample ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.sample_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.sample_past (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    source_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    added_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    label_ids bigint[] NOT NULL,
    labeled_by text COLLATE pg_catalog."C",
    labeled_at timestamp with time zone,
    labeled_origin text,
    hard boolean NOT NULL,
    usage text,
    since bigint NOT NULL,
    until bigint NOT NULL,
    path_order text COLLATE pg_catalog."C",
    published boolean DEFAULT true,
    labels_key bigint,
    facets_key bigint,
    suggestion_confidence double precision,
    suggestion_margin double precision,
    suggestion_entropy double precision,
    suggestion_disagreement double precision,
    suggestion_conflict double precision,
    suggestion_lowest double precision
)
PARTITION BY LIST (published);

CREATE TABLE public.sample_past_published (
    id bigint CONSTRAINT sample_past_id_not_null NOT NULL,
    dataset_id bigint CONSTRAINT sample_past_dataset_id_not_null NOT NULL,
    source_id bigint CONSTRAINT sample_past_source_id_not_null NOT NULL,
    path text CONSTRAINT sample_past_path_not_null NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone CONSTRAINT sample_past_created_at_not_null NOT NULL,
    added_at timestamp with time zone CONSTRAINT sample_past_added_at_not_null NOT NULL,
    state text CONSTRAINT sample_past_state_not_null NOT NULL,
    label_ids bigint[] CONSTRAINT sample_past_label_ids_not_null NOT NULL,
    labeled_by text COLLATE pg_catalog."C",
    labeled_at timestamp with time zone,
    labeled_origin text,
    hard boolean CONSTRAINT sample_past_hard_not_null NOT NULL,
    usage text,
    since bigint CONSTRAINT sample_past_since_not_null NOT NULL,
    until bigint CONSTRAINT sample_past_until_not_null NOT NULL,
    path_order text COLLATE pg_catalog."C",
    published boolean DEFAULT true,
    labels_key bigint,
    facets_key bigint,
    suggestion_confidence double precision,
    suggestion_margin double precision,
    suggestion_entropy double precision,
    suggestion_disagreement double precision,
    suggestion_conflict double precision,
    suggestion_lowest double precision
);

CREATE TABLE public.sample_past_unpublished (
    id bigint CONSTRAINT sample_past_id_not_null NOT NULL,
    dataset_id bigint CONSTRAINT sample_past_dataset_id_not_null NOT NULL,
    source_id bigint CONSTRAINT sample_past_source_id_not_null NOT NULL,
    path text CONSTRAINT sample_past_path_not_null NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone CONSTRAINT sample_past_created_at_not_null NOT NULL,
    added_at timestamp with time zone CONSTRAINT sample_past_added_at_not_null NOT NULL,
    state text CONSTRAINT sample_past_state_not_null NOT NULL,
    label_ids bigint[] CONSTRAINT sample_past_label_ids_not_null NOT NULL,
    labeled_by text COLLATE pg_catalog."C",
    labeled_at timestamp with time zone,
    labeled_origin text,
    hard boolean CONSTRAINT sample_past_hard_not_null NOT NULL,
    usage text,
    since bigint CONSTRAINT sample_past_since_not_null NOT NULL,
    until bigint CONSTRAINT sample_past_until_not_null NOT NULL,
    path_order text COLLATE pg_catalog."C",
    published boolean DEFAULT true,
    labels_key bigint,
    facets_key bigint,
    suggestion_confidence double precision,
    suggestion_margin double precision,
    suggestion_entropy double precision,
    suggestion_disagreement double precision,
    suggestion_conflict double precision,
    suggestion_lowest double precision
);

CREATE TABLE public.secret (
    name text NOT NULL,
    value bytea NOT NULL
);

CREATE TABLE public.source (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    etag text NOT NULL,
    size bigint NOT NULL,
    modified_at timestamp with time zone NOT NULL,
    format text,
    width integer,
    height integer,
    orientation smallint,
    status text DEFAULT 'PRESENT'::text NOT NULL,
    sidecar_etag text,
    content_hash text,
    pixel_hash text,
    changed_at timestamp with time zone,
    damaged boolean DEFAULT false NOT NULL,
    CONSTRAINT source_format_check CHECK ((format = ANY (ARRAY['JPEG'::text, 'PNG'::text, 'BMP'::text, 'WEBP'::text, 'TIFF'::text, 'GIF'::text, 'AVIF'::text]))),
    CONSTRAINT source_path_check CHECK (((octet_length(path) >= 1) AND (octet_length(path) <= 1024))),
    CONSTRAINT source_status_check CHECK ((status = ANY (ARRAY['PRESENT'::text, 'UNREADABLE'::text, 'GONE'::text])))
);

CREATE TABLE public.source_deletion (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    source_id bigint NOT NULL,
    change_id bigint NOT NULL,
    path text NOT NULL,
    etag text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    retry_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.source_deletion ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.source_deletion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.source ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.source_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE public.staging (
    job_id bigint NOT NULL
);

CREATE TABLE public.suggestion_count (
    label_id bigint NOT NULL,
    model_id bigint NOT NULL,
    pending bigint DEFAULT 0 NOT NULL,
    accepted bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    corrected bigint DEFAULT 0 NOT NULL,
    CONSTRAINT suggestion_count_accepted_check CHECK ((accepted >= 0)),
    CONSTRAINT suggestion_count_corrected_check CHECK ((corrected >= 0)),
    CONSTRAINT suggestion_count_pending_check CHECK ((pending >= 0)),
    CONSTRAINT suggestion_count_rejected_check CHECK ((rejected >= 0))
)
WITH (fillfactor='70');

CREATE TABLE public.sync_example (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    effect text NOT NULL,
    paths text[] NOT NULL,
    former_paths text[] NOT NULL,
    CONSTRAINT sync_example_effect_check CHECK ((effect = ANY (ARRAY['ADDED'::text, 'UPDATED'::text, 'MOVED'::text, 'REMOVED'::text])))
);

ALTER TABLE public.sync_example ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.sync_example_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE public.sync_item (
    job_id bigint NOT NULL,
    "position" bigint NOT NULL,
    action text NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    modified_at timestamp with time zone NOT NULL,
    etag text,
    source_id bigint,
    sidecar_path text COLLATE pg_catalog."C",
    sidecar_etag text,
    settled boolean DEFAULT false NOT NULL,
    changed_at timestamp with time zone,
    sidecar_due boolean DEFAULT false NOT NULL,
    content text,
    pixels text,
    old_content text,
    old_size bigint,
    old_pixels text,
    inspect_first boolean DEFAULT false NOT NULL,
    image jsonb,
    moved boolean DEFAULT false NOT NULL,
    CONSTRAINT sync_item_action_check CHECK ((action = ANY (ARRAY['NEW'::text, 'CHANGED'::text, 'RESTORED'::text, 'SIDECAR'::text, 'UNREADABLE'::text, 'VANISHED'::text, 'DONE'::text])))
);

CREATE UNLOGGED TABLE public.sync_object (
    job_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    sidecar boolean NOT NULL,
    size bigint NOT NULL,
    modified_at timestamp with time zone NOT NULL,
    etag text,
    changed_at timestamp with time zone,
    keys text[] NOT NULL COLLATE pg_catalog."C",
    reason text
);

CREATE UNLOGGED TABLE public.sync_sidecar (
    job_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    sidecar_path text NOT NULL COLLATE pg_catalog."C",
    sidecar_etag text
);

CREATE UNLOGGED TABLE public.sync_unchanged (
    job_id bigint NOT NULL,
    source_ids bigint[] NOT NULL
);
ALTER TABLE ONLY public.sync_unchanged ALTER COLUMN source_ids SET STORAGE EXTERNAL;

CREATE TABLE public.token (
    id bigint NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    hash bytea NOT NULL,
    scope text NOT NULL,
    dataset_ids bigint[],
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT token_scope_check CHECK ((scope = ANY (ARRAY['read'::text, 'label'::text, 'manage'::text])))
);

ALTER TABLE public.token ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.token_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.upload (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    file_name text NOT NULL,
    size bigint NOT NULL,
    labels text[] DEFAULT '{}'::text[] NOT NULL,
    create_missing boolean DEFAULT false NOT NULL,
    on_conflict text NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    staged text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    sweep_at timestamp with time zone NOT NULL,
    cleared boolean DEFAULT false NOT NULL,
    sample_id bigint,
    error_code text,
    error text,
    finished_at timestamp with time zone,
    generation integer DEFAULT 0 NOT NULL,
    label_ids bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    token_id bigint,
    CONSTRAINT upload_conflict_check CHECK ((on_conflict = ANY (ARRAY['ERROR'::text, 'RENAME'::text]))),
    CONSTRAINT upload_finished_check CHECK (((finished_at IS NULL) = ((sample_id IS NULL) AND (error_code IS NULL))))
);

ALTER TABLE public.upload ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.upload_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.verdict (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    sample_id bigint NOT NULL,
    label_id bigint NOT NULL,
    model_id bigint NOT NULL,
    shape jsonb,
    confidence double precision NOT NULL,
    outcome text NOT NULL,
    since bigint NOT NULL,
    CONSTRAINT verdict_outcome_check CHECK ((outcome = ANY (ARRAY['ACCEPTED'::text, 'REJECTED'::text, 'CORRECTED'::text])))
);

CREATE TABLE public.verdict_past (
    id bigint CONSTRAINT verdict_id_not_null NOT NULL,
    dataset_id bigint CONSTRAINT verdict_dataset_id_not_null NOT NULL,
    sample_id bigint CONSTRAINT verdict_sample_id_not_null NOT NULL,
    label_id bigint CONSTRAINT verdict_label_id_not_null NOT NULL,
    model_id bigint CONSTRAINT verdict_model_id_not_null NOT NULL,
    shape jsonb,
    confidence double precision CONSTRAINT verdict_confidence_not_null NOT NULL,
    outcome text CONSTRAINT verdict_outcome_not_null NOT NULL,
    since bigint CONSTRAINT verdict_since_not_null NOT NULL,
    until bigint NOT NULL
);

CREATE TABLE public.version (
    id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    description text DEFAULT ''::text NOT NULL,
    revision bigint NOT NULL,
    parent_id bigint,
    status text DEFAULT 'READY'::text NOT NULL,
    is_split boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    total bigint NOT NULL,
    labeled bigint NOT NULL,
    pending bigint NOT NULL,
    manifest_path text,
    CONSTRAINT version_status_check CHECK ((status = ANY (ARRAY['CREATING'::text, 'READY'::text, 'FAILED'::text])))
);

CREATE TABLE public.version_eval (
    version_id bigint NOT NULL,
    sample_id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    usage text DEFAULT 'EVAL'::text NOT NULL,
    CONSTRAINT version_eval_usage_check CHECK ((usage = ANY (ARRAY['EVAL'::text, 'TEST'::text])))
);

ALTER TABLE public.version ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.version_label (
    version_id bigint NOT NULL,
    label_id bigint NOT NULL,
    dataset_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    color text,
    shortcut text COLLATE pg_catalog."C",
    sample_count bigint NOT NULL,
    annotation_count bigint NOT NULL,
    suggestion_count bigint DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY public.sample_past ATTACH PARTITION public.sample_past_published FOR VALUES IN (true);

ALTER TABLE ONLY public.sample_past ATTACH PARTITION public.sample_past_unpublished FOR VALUES IN (false);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.annotation_past
    ADD CONSTRAINT annotation_past_pkey PRIMARY KEY (id, since);

ALTER TABLE ONLY public.annotation
    ADD CONSTRAINT annotation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auto_label_confusion
    ADD CONSTRAINT auto_label_confusion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auto_label_example
    ADD CONSTRAINT auto_label_example_pkey PRIMARY KEY (job_id, number);

ALTER TABLE ONLY public.auto_label
    ADD CONSTRAINT auto_label_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.auto_label_sample
    ADD CONSTRAINT auto_label_sample_pkey PRIMARY KEY (job_id, number);

ALTER TABLE ONLY public.auto_label_score
    ADD CONSTRAINT auto_label_score_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auto_label_threshold
    ADD CONSTRAINT auto_label_threshold_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.base_before
    ADD CONSTRAINT base_before_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY public.base
    ADD CONSTRAINT base_pkey PRIMARY KEY (dataset_id);

ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_revision_key UNIQUE (dataset_id, revision);

ALTER TABLE ONLY public.dataset_event
    ADD CONSTRAINT dataset_event_pkey PRIMARY KEY (dataset_id, number);

ALTER TABLE ONLY public.dataset
    ADD CONSTRAINT dataset_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.embedding_model
    ADD CONSTRAINT embedding_model_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.export_file
    ADD CONSTRAINT export_file_job_id_path_key UNIQUE (job_id, path);

ALTER TABLE ONLY public.export_file
    ADD CONSTRAINT export_file_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.export
    ADD CONSTRAINT export_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.export_sample
    ADD CONSTRAINT export_sample_pkey PRIMARY KEY (job_id, number);

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (token_id, key, field);

ALTER TABLE ONLY public.ignored_files
    ADD CONSTRAINT ignored_files_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.image_feature
    ADD CONSTRAINT image_feature_pkey PRIMARY KEY (dataset_id, network, content);

ALTER TABLE ONLY public.import_file
    ADD CONSTRAINT import_file_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.import_label
    ADD CONSTRAINT import_label_name_key UNIQUE (job_id, name);

ALTER TABLE ONLY public.import_label
    ADD CONSTRAINT import_label_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_line
    ADD CONSTRAINT import_line_pkey PRIMARY KEY (job_id, "position");

ALTER TABLE ONLY public.import_notice
    ADD CONSTRAINT import_notice_kind_key UNIQUE (job_id, kind);

ALTER TABLE ONLY public.import_notice
    ADD CONSTRAINT import_notice_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_upload
    ADD CONSTRAINT import_upload_key UNIQUE (dataset_id, key);

ALTER TABLE ONLY public.import_upload
    ADD CONSTRAINT import_upload_pkey PRIMARY KEY (staged);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.job_warning
    ADD CONSTRAINT job_warning_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.label_count
    ADD CONSTRAINT label_count_pkey PRIMARY KEY (label_id);

ALTER TABLE ONLY public.label
    ADD CONSTRAINT label_name_key UNIQUE (dataset_id, name) DEFERRABLE;

ALTER TABLE ONLY public.label_past
    ADD CONSTRAINT label_past_pkey PRIMARY KEY (id, since);

ALTER TABLE ONLY public.label
    ADD CONSTRAINT label_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.label
    ADD CONSTRAINT label_shortcut_key UNIQUE (dataset_id, shortcut) DEFERRABLE;

ALTER TABLE ONLY public.look_hash
    ADD CONSTRAINT look_hash_pkey PRIMARY KEY (dataset_id, hash);

ALTER TABLE ONLY public.look
    ADD CONSTRAINT look_pkey PRIMARY KEY (source_id);

ALTER TABLE ONLY public.model
    ADD CONSTRAINT model_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.model
    ADD CONSTRAINT model_version_key UNIQUE (dataset_id, name, version);

ALTER TABLE ONLY public.sample_past_published
    ADD CONSTRAINT sample_past_pkey PRIMARY KEY (id, since);

ALTER TABLE ONLY public.sample_past_unpublished
    ADD CONSTRAINT sample_past_unpublished_pkey PRIMARY KEY (id, since);

ALTER TABLE ONLY public.sample
    ADD CONSTRAINT sample_path_key UNIQUE (dataset_id, path);

ALTER TABLE ONLY public.sample
    ADD CONSTRAINT sample_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sample
    ADD CONSTRAINT sample_source_key UNIQUE (source_id);

ALTER TABLE ONLY public.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.source_deletion
    ADD CONSTRAINT source_deletion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.source
    ADD CONSTRAINT source_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.staging
    ADD CONSTRAINT staging_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.suggestion_count
    ADD CONSTRAINT suggestion_count_pkey PRIMARY KEY (label_id, model_id);

ALTER TABLE ONLY public.sync_example
    ADD CONSTRAINT sync_example_effect_key UNIQUE (job_id, effect);

ALTER TABLE ONLY public.sync_example
    ADD CONSTRAINT sync_example_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sync_item
    ADD CONSTRAINT sync_item_pkey PRIMARY KEY (job_id, "position");

ALTER TABLE ONLY public.sync_sidecar
    ADD CONSTRAINT sync_sidecar_pkey PRIMARY KEY (job_id, path);

ALTER TABLE ONLY public.token
    ADD CONSTRAINT token_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.token
    ADD CONSTRAINT token_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_key_key UNIQUE (dataset_id, key);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_staged_key UNIQUE (staged);

ALTER TABLE ONLY public.verdict_past
    ADD CONSTRAINT verdict_past_pkey PRIMARY KEY (id, since);

ALTER TABLE ONLY public.verdict
    ADD CONSTRAINT verdict_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.version_eval
    ADD CONSTRAINT version_eval_pkey PRIMARY KEY (version_id, sample_id);

ALTER TABLE ONLY public.version_label
    ADD CONSTRAINT version_label_pkey PRIMARY KEY (version_id, label_id);

ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_name_key UNIQUE (dataset_id, name);

ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (id);

CREATE INDEX annotation_label ON public.annotation USING btree (label_id);

CREATE UNIQUE INDEX annotation_once ON public.annotation USING btree (sample_id, label_id) WHERE ((shape IS NULL) AND (confirmed OR (model_id IS NULL)));

CREATE INDEX annotation_past_sample ON public.annotation_past USING btree (sample_id);

CREATE INDEX annotation_past_until ON public.annotation_past USING btree (dataset_id, until);

CREATE INDEX annotation_sample ON public.annotation USING btree (sample_id);

CREATE INDEX annotation_suggested_by ON public.annotation USING btree (dataset_id, model_id, label_id, COALESCE(confidence, (0)::double precision), sample_id) INCLUDE (confidence) WHERE (NOT confirmed);

CREATE INDEX annotation_suggested_newest ON public.annotation USING btree (dataset_id, label_id, sample_created_at, sample_id) WHERE (NOT confirmed);

CREATE UNIQUE INDEX annotation_suggested_once ON public.annotation USING btree (sample_id, label_id, model_id) WHERE ((shape IS NULL) AND (NOT confirmed) AND (model_id IS NOT NULL));

CREATE INDEX auto_label_confusion_job ON public.auto_label_confusion USING btree (job_id, id);

CREATE INDEX auto_label_score_job ON public.auto_label_score USING btree (job_id, id);

CREATE INDEX auto_label_threshold_job ON public.auto_label_threshold USING btree (job_id, id);

CREATE INDEX base_before_dataset ON public.base_before USING btree (dataset_id);

CREATE INDEX base_version ON public.base USING btree (version_id);

CREATE INDEX change_actor ON public.change USING btree (dataset_id, actor, at, revision);

CREATE INDEX change_job ON public.change USING btree (job_id) WHERE (job_id IS NOT NULL);

CREATE INDEX change_kind ON public.change USING btree (dataset_id, kind, at, revision);

CREATE INDEX change_newest ON public.change USING btree (dataset_id, at, revision);

CREATE INDEX change_undone_by ON public.change USING btree (undone_by) WHERE (undone_by IS NOT NULL);

CREATE UNIQUE INDEX dataset_name_key ON public.dataset USING btree (name) WHERE (deleted_at IS NULL);

CREATE INDEX dataset_newest ON public.dataset USING btree (created_at, id) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX embedding_model_key ON public.embedding_model USING btree (dataset_id, name, version);

CREATE INDEX export_dataset ON public.export USING btree (dataset_id, job_id);

CREATE INDEX export_sweep ON public.export USING btree (sweep_at) WHERE (sweep_at IS NOT NULL);

CREATE INDEX idempotency_created ON public.idempotency USING btree (created_at);

CREATE INDEX ignored_files_job ON public.ignored_files USING btree (job_id, id);

CREATE INDEX import_line_path ON public.import_line USING btree (job_id, path);

CREATE INDEX import_upload_expiry ON public.import_upload USING btree (expires_at);

CREATE INDEX job_active ON public.job USING btree (id) WHERE (status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text]));

CREATE INDEX job_dataset ON public.job USING btree (dataset_id, id);

CREATE INDEX job_due ON public.job USING btree (due_at, id) WHERE (status = 'QUEUED'::text);

CREATE INDEX job_kind ON public.job USING btree (dataset_id, kind, created_at, id);

CREATE INDEX job_newest ON public.job USING btree (dataset_id, created_at, id);

CREATE UNIQUE INDEX job_one_active ON public.job USING btree (dataset_id) WHERE ((kind = ANY (ARRAY['SYNC'::text, 'IMPORT'::text])) AND (NOT ((kind = 'SYNC'::text) AND is_dry_run)) AND (status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text])));

CREATE UNIQUE INDEX job_one_auto_label ON public.job USING btree (dataset_id) WHERE ((kind = 'AUTO_LABEL'::text) AND (status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text])));

CREATE UNIQUE INDEX job_one_dry_run ON public.job USING btree (dataset_id, requested_by) WHERE ((kind = 'SYNC'::text) AND is_dry_run AND (status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text])));

CREATE UNIQUE INDEX job_one_manifest ON public.job USING btree (version_id) WHERE ((kind = 'MANIFEST'::text) AND (status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text])));

CREATE INDEX job_requested_by ON public.job USING btree (dataset_id, requested_by, created_at, id);

CREATE INDEX job_status ON public.job USING btree (dataset_id, status, created_at, id);

CREATE INDEX job_version ON public.job USING btree (version_id, id) WHERE (version_id IS NOT NULL);

CREATE INDEX job_warning_job ON public.job_warning USING btree (job_id, id);

CREATE UNIQUE INDEX job_warning_name ON public.job_warning USING btree (job_id, name) WHERE (name IS NOT NULL);

CREATE UNIQUE INDEX job_warning_once ON public.job_warning USING btree (job_id, path, message);

CREATE INDEX label_past_since ON public.label_past USING btree (dataset_id, since);

CREATE INDEX label_past_until ON public.label_past USING btree (dataset_id, until);

CREATE INDEX label_since ON public.label USING btree (dataset_id, since);

CREATE INDEX look_hash_group1 ON public.look_hash USING btree (dataset_id, group1) WHERE is_shared;

CREATE INDEX look_hash_group2 ON public.look_hash USING btree (dataset_id, group2) WHERE is_shared;

CREATE INDEX look_hash_parts ON public.look_hash USING gin (public.look_parts(dataset_id, hash)) WITH (fastupdate=off);

CREATE INDEX look_hash_shared ON public.look_hash USING btree (dataset_id, id) WHERE is_shared;

CREATE INDEX look_sources ON public.look USING btree (dataset_id, hash, source_id);

CREATE INDEX model_dataset ON public.model USING btree (dataset_id, id);

CREATE INDEX sample_added ON public.sample USING btree (dataset_id, added_at, id) INCLUDE (labels_key, facets_key);

CREATE INDEX sample_decomposed ON public.sample USING btree (dataset_id, public.composed(path)) WHERE (public.composed(path) <> path);

CREATE INDEX sample_hard ON public.sample USING btree (dataset_id, created_at, id) INCLUDE (labels_key, facets_key) WHERE hard;

CREATE INDEX sample_labeled ON public.sample USING btree (dataset_id, COALESCE(labeled_at, '0001-01-01 00:00:00.000001+00'::timestamp with time zone), id);

CREATE INDEX sample_labeled_by ON public.sample USING btree (dataset_id, labeled_by, created_at, id) INCLUDE (labels_key, facets_key) WHERE (labeled_by IS NOT NULL);

CREATE INDEX sample_labels ON public.sample USING gin (label_ids);

CREATE INDEX sample_newest ON public.sample USING btree (dataset_id, created_at, id) INCLUDE (labels_key, facets_key, hard);

CREATE INDEX sample_past_added ON public.sample_past_published USING btree (dataset_id, added_at, id, since, until);

CREATE INDEX sample_past_hard ON public.sample_past_published USING btree (dataset_id, created_at, id, since, until) WHERE hard;

CREATE INDEX sample_past_labeled ON public.sample_past_published USING btree (dataset_id, COALESCE(labeled_at, '0001-01-01 00:00:00.000001+00'::timestamp with time zone), id, since, until);

CREATE INDEX sample_past_labeled_by ON public.sample_past_published USING btree (dataset_id, labeled_by, created_at, id, since, until) WHERE (labeled_by IS NOT NULL);

CREATE INDEX sample_past_labels ON public.sample_past_published USING gin (label_ids);

CREATE INDEX sample_past_newest ON public.sample_past_published USING btree (dataset_id, created_at, id, since, until);

CREATE INDEX sample_past_path ON public.sample_past_published USING btree (dataset_id, path, since, until);

CREATE INDEX sample_past_path_order ON public.sample_past_published USING btree (dataset_id, path_order, id, since, until);

CREATE INDEX sample_past_since ON public.sample_past_published USING btree (dataset_id, since, id);

CREATE INDEX sample_past_source ON public.sample_past_published USING btree (source_id);

CREATE INDEX sample_past_state ON public.sample_past_published USING btree (dataset_id, state, created_at, id, since, until);

CREATE INDEX sample_past_suggestion_confidence ON public.sample_past_published USING btree (dataset_id, suggestion_confidence, created_at, id, since, until) WHERE (suggestion_confidence IS NOT NULL);

CREATE INDEX sample_past_suggestion_disagreement ON public.sample_past_published USING btree (dataset_id, suggestion_disagreement, created_at, id, since, until) WHERE (suggestion_disagreement IS NOT NULL);

CREATE INDEX sample_past_suggestion_entropy ON public.sample_past_published USING btree (dataset_id, suggestion_entropy, created_at, id, since, until) WHERE (suggestion_entropy IS NOT NULL);

CREATE INDEX sample_past_suggestion_margin ON public.sample_past_published USING btree (dataset_id, suggestion_margin, created_at, id, since, until) WHERE (suggestion_margin IS NOT NULL);

CREATE INDEX sample_past_unpublished_since ON public.sample_past_unpublished USING btree (dataset_id, since, id);

CREATE INDEX sample_past_unpublished_until ON public.sample_past_unpublished USING btree (dataset_id, until, since);

CREATE INDEX sample_past_until ON public.sample_past_published USING btree (dataset_id, until, id);

CREATE INDEX sample_path_order ON public.sample USING btree (dataset_id, path_order, id);

CREATE INDEX sample_since ON public.sample USING btree (dataset_id, since, id) INCLUDE (labels_key, facets_key);

CREATE INDEX sample_state ON public.sample USING btree (dataset_id, state, created_at, id) INCLUDE (labels_key, facets_key);

CREATE INDEX sample_suggestion_confidence ON public.sample USING btree (dataset_id, suggestion_confidence, created_at, id) WHERE (suggestion_confidence IS NOT NULL);

CREATE INDEX sample_suggestion_conflict ON public.sample USING btree (dataset_id, suggestion_conflict) WHERE (suggestion_conflict IS NOT NULL);

CREATE INDEX sample_suggestion_disagreement ON public.sample USING btree (dataset_id, suggestion_disagreement, created_at, id) WHERE (suggestion_disagreement IS NOT NULL);

CREATE INDEX sample_suggestion_entropy ON public.sample USING btree (dataset_id, suggestion_entropy, created_at, id) WHERE (suggestion_entropy IS NOT NULL);

CREATE INDEX sample_suggestion_margin ON public.sample USING btree (dataset_id, suggestion_margin, created_at, id) WHERE (suggestion_margin IS NOT NULL);

CREATE INDEX source_damaged ON public.source USING btree (dataset_id, id) WHERE damaged;

CREATE INDEX source_dataset ON public.source USING btree (dataset_id) WHERE (status = 'GONE'::text);

CREATE INDEX source_deletion_change ON public.source_deletion USING btree (change_id);

CREATE INDEX source_deletion_open ON public.source_deletion USING btree (id) WHERE (finished_at IS NULL);

CREATE INDEX source_deletion_path ON public.source_deletion USING btree (dataset_id, path) WHERE (finished_at IS NULL);

CREATE INDEX source_deletion_source ON public.source_deletion USING btree (source_id);

CREATE UNIQUE INDEX source_path_key ON public.source USING btree (dataset_id, path) WHERE (status <> 'GONE'::text);

CREATE INDEX source_path_words ON public.source USING gin (lower(public.composed(path)) public.gin_trgm_ops);

CREATE INDEX source_shuffled ON public.source USING btree (dataset_id, public.shuffle_bucket(id));

CREATE INDEX source_size ON public.source USING btree (dataset_id, size, id);

CREATE INDEX suggestion_count_model ON public.suggestion_count USING btree (model_id);

CREATE INDEX sync_object_job ON public.sync_object USING btree (job_id);

CREATE INDEX sync_unchanged_job ON public.sync_unchanged USING btree (job_id);

CREATE UNIQUE INDEX token_name_key ON public.token USING btree (name) WHERE (revoked_at IS NULL);

CREATE UNIQUE INDEX upload_path_open ON public.upload USING btree (dataset_id, path) WHERE (finished_at IS NULL);

CREATE INDEX upload_sweep ON public.upload USING btree (sweep_at);

CREATE INDEX verdict_label ON public.verdict USING btree (label_id);

CREATE INDEX verdict_past_since ON public.verdict_past USING btree (dataset_id, since);

CREATE INDEX verdict_past_until ON public.verdict_past USING btree (dataset_id, until);

CREATE INDEX verdict_sample ON public.verdict USING btree (sample_id);

CREATE INDEX verdict_since ON public.verdict USING btree (dataset_id, since);

CREATE INDEX version_dataset ON public.version USING btree (dataset_id, id);

CREATE INDEX version_eval_dataset ON public.version_eval USING btree (dataset_id);

CREATE INDEX version_label_dataset ON public.version_label USING btree (dataset_id);

CREATE UNIQUE INDEX version_label_name ON public.version_label USING btree (version_id, name);

CREATE INDEX version_parent ON public.version USING btree (parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX version_revision ON public.version USING btree (dataset_id, revision);

CREATE STATISTICS public.annotation_labels (mcv) ON label_id, confirmed FROM public.annotation;

CREATE STATISTICS public.annotation_models (mcv) ON confirmed, model_id FROM public.annotation;

CREATE STATISTICS public.source_path_words_seen ON lower(public.composed(path)) FROM public.source;

CREATE TRIGGER annotation_0_suggested BEFORE INSERT ON public.annotation FOR EACH ROW WHEN (((NOT new.confirmed) AND (new.sample_created_at IS NULL))) EXECUTE FUNCTION public.annotation_suggested();

CREATE TRIGGER annotation_1_deleted AFTER DELETE ON public.annotation REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.annotation_keep();

CREATE TRIGGER annotation_1_updated AFTER UPDATE ON public.annotation REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.annotation_keep();

CREATE TRIGGER annotation_2_deleted AFTER DELETE ON public.annotation REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.annotation_count_deleted();

CREATE TRIGGER annotation_2_inserted AFTER INSERT ON public.annotation REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.annotation_count_inserted();

CREATE TRIGGER annotation_2_updated AFTER UPDATE ON public.annotation REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.annotation_count_updated();

CREATE CONSTRAINT TRIGGER change_inserted AFTER INSERT ON public.change DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.change_shown();

CREATE CONSTRAINT TRIGGER job_inserted AFTER INSERT ON public.job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.kind <> 'PURGE'::text)) EXECUTE FUNCTION public.job_event();

CREATE CONSTRAINT TRIGGER job_updated AFTER UPDATE OF status ON public.job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.status <> old.status) AND (new.kind <> 'PURGE'::text))) EXECUTE FUNCTION public.job_event();

CREATE TRIGGER label_deleted AFTER DELETE ON public.label REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.label_keep();

CREATE TRIGGER label_ended AFTER DELETE ON public.label REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.label_count_close();

CREATE TRIGGER label_inserted AFTER INSERT ON public.label REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.label_count_open();

CREATE TRIGGER label_updated AFTER UPDATE ON public.label REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.label_keep();

CREATE TRIGGER sample_1_deleted AFTER DELETE ON public.sample REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.sample_keep();

CREATE TRIGGER sample_1_updated AFTER UPDATE ON public.sample REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.sample_keep();

CREATE TRIGGER sample_2_deleted AFTER DELETE ON public.sample REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.sample_count_deleted();

CREATE TRIGGER sample_2_inserted AFTER INSERT ON public.sample REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.sample_count_inserted();

CREATE TRIGGER sample_2_updated AFTER UPDATE ON public.sample REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.sample_count_updated();

CREATE TRIGGER sample_3_deleted AFTER DELETE ON public.sample REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.verdicts_of_samples_deleted();

CREATE TRIGGER verdict_1_deleted AFTER DELETE ON public.verdict REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.verdict_keep();

CREATE TRIGGER verdict_1_updated AFTER UPDATE ON public.verdict REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.verdict_keep();

CREATE TRIGGER verdict_2_deleted AFTER DELETE ON public.verdict REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.verdict_count_deleted();

CREATE TRIGGER verdict_2_inserted AFTER INSERT ON public.verdict REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.verdict_count_inserted();

CREATE TRIGGER verdict_2_updated AFTER UPDATE ON public.verdict REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.verdict_count_updated();

CREATE TRIGGER version_1_inserted AFTER INSERT ON public.version FOR EACH ROW EXECUTE FUNCTION public.version_shows();

CREATE CONSTRAINT TRIGGER version_deleted AFTER DELETE ON public.version DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.version_event();

CREATE CONSTRAINT TRIGGER version_inserted AFTER INSERT ON public.version DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.version_event();

CREATE CONSTRAINT TRIGGER version_written AFTER UPDATE OF manifest_path ON public.version DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.manifest_path IS NOT NULL)) EXECUTE FUNCTION public.version_event();

ALTER TABLE ONLY public.annotation
    ADD CONSTRAINT annotation_label_id_fkey FOREIGN KEY (label_id) REFERENCES public.label(id);

ALTER TABLE ONLY public.annotation
    ADD CONSTRAINT annotation_sample_id_fkey FOREIGN KEY (sample_id) REFERENCES public.sample(id);

ALTER TABLE ONLY public.auto_label_confusion
    ADD CONSTRAINT auto_label_confusion_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.auto_label
    ADD CONSTRAINT auto_label_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.auto_label_score
    ADD CONSTRAINT auto_label_score_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.auto_label_threshold
    ADD CONSTRAINT auto_label_threshold_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.base_before
    ADD CONSTRAINT base_before_change_id_fkey FOREIGN KEY (change_id) REFERENCES public.change(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.base_before
    ADD CONSTRAINT base_before_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.base
    ADD CONSTRAINT base_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.base
    ADD CONSTRAINT base_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.version(id);

ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_undone_by_fkey FOREIGN KEY (undone_by) REFERENCES public.change(id);

ALTER TABLE ONLY public.dataset_event
    ADD CONSTRAINT dataset_event_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.embedding_model
    ADD CONSTRAINT embedding_model_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.export_file
    ADD CONSTRAINT export_file_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.export
    ADD CONSTRAINT export_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_token_id_fkey FOREIGN KEY (token_id) REFERENCES public.token(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ignored_files
    ADD CONSTRAINT ignored_files_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_file
    ADD CONSTRAINT import_file_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_label
    ADD CONSTRAINT import_label_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_notice
    ADD CONSTRAINT import_notice_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_upload
    ADD CONSTRAINT import_upload_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.version(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.job_warning
    ADD CONSTRAINT job_warning_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.label
    ADD CONSTRAINT label_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.look_hash
    ADD CONSTRAINT look_hash_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.look
    ADD CONSTRAINT look_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.source(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.model
    ADD CONSTRAINT model_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.sample
    ADD CONSTRAINT sample_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.sample
    ADD CONSTRAINT sample_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.source(id);

ALTER TABLE ONLY public.source
    ADD CONSTRAINT source_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.source_deletion
    ADD CONSTRAINT source_deletion_change_id_fkey FOREIGN KEY (change_id) REFERENCES public.change(id);

ALTER TABLE ONLY public.source_deletion
    ADD CONSTRAINT source_deletion_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.source_deletion
    ADD CONSTRAINT source_deletion_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.source(id);

ALTER TABLE ONLY public.sync_example
    ADD CONSTRAINT sync_example_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.version_label
    ADD CONSTRAINT version_label_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);

ALTER TABLE ONLY public.version_label
    ADD CONSTRAINT version_label_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.version(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.version
    ADD CONSTRAINT version_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.version(id);
