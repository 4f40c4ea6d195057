-- A migration that adds columns to `label`, `sample` or `annotation` ends with `SELECT refresh_history('…')`.
--
-- It adds to the table of past rows each column that it lacks (past rows get the column's default), and makes the trigger
-- function that writes the past rows anew. Columns are copied by name, so their order in the two tables does not matter.
-- A column that is renamed or dropped is renamed or dropped in both tables first.
CREATE FUNCTION refresh_history(fact text) RETURNS void LANGUAGE plpgsql AS $refresh$
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

SELECT refresh_history('label'), refresh_history('sample'), refresh_history('annotation');
