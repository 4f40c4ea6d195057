DROP TRIGGER change_inserted ON change;
DROP TRIGGER version_1_inserted ON version;
DROP FUNCTION change_shown(), version_shows();
DROP INDEX version_revision;
ALTER TABLE sample_past DETACH PARTITION sample_past_published;
INSERT INTO sample_past_published SELECT * FROM sample_past;
DROP TABLE sample_past;
ALTER TABLE sample_past_published DROP COLUMN published;
ALTER TABLE sample_past_published RENAME TO sample_past;

CREATE OR REPLACE FUNCTION version_past_few(version bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM version v JOIN sample_past p ON p.dataset_id = v.dataset_id AND p.until > v.revision
        WHERE v.id = version_past_few.version OFFSET 100);
END $$;

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

SELECT refresh_history('label'), refresh_history('sample'), refresh_history('annotation');
