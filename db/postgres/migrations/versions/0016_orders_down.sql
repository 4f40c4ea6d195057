DROP FUNCTION labels_few(bigint, bigint[], boolean, bigint), labels_few_in(bigint, bigint[], boolean, bigint);
CREATE FUNCTION labels_few(dataset bigint, names text[], every boolean, page bigint) RETURNS boolean
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
    WHERE l.dataset_id = labels_few.dataset AND l.name = ANY (names);
    RETURN power(matches, 2) < page * samples;
END $$;
CREATE FUNCTION labels_few_in(version bigint, names text[], every boolean, page bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    samples float8;
    matches float8;
BEGIN
    SELECT greatest(v.total, 1) INTO samples FROM version v WHERE v.id = labels_few_in.version;
    SELECT CASE WHEN every THEN samples * exp(sum(ln(greatest(l.sample_count, 1) / samples))) ELSE sum(l.sample_count) END
    INTO matches
    FROM version_label l WHERE l.version_id = labels_few_in.version AND l.name = ANY (names);
    RETURN power(matches, 2) < page * samples;
END $$;
DROP INDEX source_shuffled, source_size, sample_past_labeled, sample_past_added, sample_past_path_order, sample_labeled,
    sample_added, sample_path_order;
DROP FUNCTION shuffle_bucket(bigint);
ALTER TABLE sample DROP COLUMN path_order;
ALTER TABLE sample_past DROP COLUMN path_order;
DROP FUNCTION natural_order(text);
CREATE OR REPLACE FUNCTION refresh_history(fact text) RETURNS void LANGUAGE plpgsql AS $refresh$
DECLARE
    past text := fact || '_past';
    missing record;
    surplus text;
    names text;
    olds text;
BEGIN
    SELECT string_agg(attname, ', ') INTO surplus
    FROM pg_attribute
    WHERE attrelid = past::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'until'
      AND attname NOT IN (SELECT attname FROM pg_attribute
                          WHERE attrelid = fact::regclass AND attnum > 0 AND NOT attisdropped);
    IF surplus IS NOT NULL THEN
        RAISE EXCEPTION '% has columns that % has not: %', past, fact, surplus
            USING HINT = 'Rename or drop a column in both tables.';
    END IF;

    FOR missing IN
        SELECT quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS kind, a.attnotnull AS required,
               CASE WHEN c.oid <> t.typcollation THEN ' COLLATE ' || quote_ident(c.collname) ELSE '' END AS collation,
               pg_get_expr(d.adbin, d.adrelid) AS initial
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_collation c ON c.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = fact::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND a.attname NOT IN (SELECT attname FROM pg_attribute WHERE attrelid = past::regclass AND NOT attisdropped)
        ORDER BY a.attnum
    LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN %s %s%s DEFAULT %s%s', past, missing.name, missing.kind,
                       missing.collation, coalesce(missing.initial, 'NULL'),
                       CASE WHEN missing.required THEN ' NOT NULL' ELSE '' END);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %s DROP DEFAULT', past, missing.name);
    END LOOP;

    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg('o.' || quote_ident(attname), ', ' ORDER BY attnum)
    INTO names, olds
    FROM pg_attribute
    WHERE attrelid = fact::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql AS $trigger$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO %2$I (%3$s, until)
        SELECT %4$s, n.since
        FROM before o JOIN after n USING (id) WHERE n.since <> o.since;
    ELSE
        INSERT INTO %2$I (%3$s, until)
        SELECT %4$s, d.revision
        FROM before o JOIN dataset d ON d.id = o.dataset_id WHERE d.deleted_at IS NULL AND o.since < d.revision;
    END IF;
    RETURN NULL;
END $trigger$
    $make$, fact || '_keep', past, names, olds);
END $refresh$;
SELECT refresh_history('sample');
