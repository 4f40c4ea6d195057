-- What sorts paths naturally, by code points: before each run of digits stands its length without leading zeros, so that
-- `img2` is before `img10`. A length above 8 is 9 and four digits: the key is at most half as long again as its path.
CREATE FUNCTION natural_order(path text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(
        part[1] || CASE WHEN part[2] = '' THEN ''
                        WHEN length(ltrim(part[2], '0')) < 9 THEN length(ltrim(part[2], '0')) || ltrim(part[2], '0')
                        ELSE '9' || lpad(length(ltrim(part[2], '0'))::text, 4, '0') || ltrim(part[2], '0') END,
        '' ORDER BY n)
    FROM regexp_matches(path, '([^0-9]*)([0-9]*)', 'g') WITH ORDINALITY AS parts (part, n)
$$;

-- Made when a sample is added or moved, not when it is labelled. The past copies it.
ALTER TABLE sample ADD COLUMN path_order text COLLATE "C" GENERATED ALWAYS AS (natural_order(path)) STORED;
ALTER TABLE sample_past ADD COLUMN path_order text COLLATE "C" GENERATED ALWAYS AS (natural_order(path)) STORED;
ALTER TABLE sample_past ALTER COLUMN path_order DROP EXPRESSION;

-- The history of a fact, as in 0007; and the past copies what the live table generates.
CREATE OR REPLACE FUNCTION refresh_history(fact text) RETURNS void LANGUAGE plpgsql AS $_$
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
END $_$;
SELECT refresh_history('sample');

-- The orders of lists of samples. Those that never were labelled are before all others. What a source says is on the
-- source, which labelling does not rewrite.
CREATE INDEX sample_path_order ON sample (dataset_id, path_order, id);
CREATE INDEX sample_added ON sample (dataset_id, added_at, id);
CREATE INDEX sample_labeled ON sample (dataset_id, coalesce(labeled_at, timestamptz '0001-01-01 00:00:00.000001+00'), id);
CREATE INDEX sample_past_path_order ON sample_past (dataset_id, path_order, id, since, until);
CREATE INDEX sample_past_added ON sample_past (dataset_id, added_at, id, since, until);
CREATE INDEX sample_past_labeled
    ON sample_past (dataset_id, coalesce(labeled_at, timestamptz '0001-01-01 00:00:00.000001+00'), id, since, until);
CREATE INDEX source_size ON source (dataset_id, size, id);

-- A random order reads one bucket after another, in an order that its seed says, and sorts the samples in each.
CREATE FUNCTION shuffle_bucket(id bigint) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ((id % 2147483647 * 1103515245) >> 16 & 1023)::int
$$;
CREATE INDEX source_shuffled ON source (dataset_id, shuffle_bucket(id));

-- By the ids of labels, however a filter names them. Null where an id is null.
DROP FUNCTION labels_few(bigint, text[], boolean, bigint), labels_few_in(bigint, text[], boolean, bigint);
CREATE FUNCTION labels_few(dataset bigint, ids bigint[], every boolean, page bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
CREATE FUNCTION labels_few_in(version bigint, ids bigint[], every boolean, page bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
