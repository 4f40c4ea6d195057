-- Past samples that a version shows are apart from those that none does: only the former are read in pages, by the orders
-- and filters that versions have. Nothing that ended before a version was published can be in it, so which they are is
-- known when they are written.
ALTER TABLE sample_past RENAME TO sample_past_published;
ALTER TABLE sample_past_published ADD COLUMN published boolean DEFAULT true;  -- all that there is stays here
CREATE TABLE sample_past (LIKE sample_past_published INCLUDING DEFAULTS) PARTITION BY LIST (published);
ALTER TABLE sample_past ATTACH PARTITION sample_past_published FOR VALUES IN (true);
CREATE TABLE sample_past_unpublished PARTITION OF sample_past FOR VALUES IN (false);
ALTER TABLE sample_past_unpublished ADD PRIMARY KEY (id, since);
CREATE INDEX sample_past_unpublished_since ON sample_past_unpublished (dataset_id, since, id);
CREATE INDEX sample_past_unpublished_until ON sample_past_unpublished (dataset_id, until, since);
CREATE INDEX version_revision ON version (dataset_id, revision);

CREATE OR REPLACE FUNCTION version_past_few(version bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM version v JOIN sample_past_published p ON p.dataset_id = v.dataset_id AND p.until > v.revision
        WHERE v.id = version_past_few.version OFFSET 100);
END $$;

-- The history of a fact, as in 0016; and whether a version shows what ends. The rows are not joined: a plan is kept for all
-- statements of a connection, and one that was made for a single row would compare every row of a million with every
-- other. An update that leaves `since` is a repair, not a change.
CREATE OR REPLACE FUNCTION refresh_history(fact text) RETURNS void LANGUAGE plpgsql AS $_$
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
        SELECT id, revision%5$s FROM dataset
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

SELECT refresh_history('label'), refresh_history('sample'), refresh_history('annotation');

-- A version shows also what a change ends that had not seen it. Who publishes has the lock, shared, until its commit, and
-- marks what ended before it had it; a change that commits without the lock, or after a version, marks what it ended.
-- So publishing waits only for a change that is being committed, and no change waits.
CREATE FUNCTION version_shows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(5, NEW.dataset_id::int);
    UPDATE sample_past SET published = true
    WHERE NOT published AND dataset_id = NEW.dataset_id AND since <= NEW.revision AND until > NEW.revision;
    RETURN NULL;
END $$;
CREATE FUNCTION change_shown() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    alone boolean := pg_try_advisory_xact_lock(5, NEW.dataset_id::int);
    shown bigint := CASE WHEN alone THEN (SELECT max(revision) FROM version WHERE dataset_id = NEW.dataset_id)
                         ELSE NEW.revision END;
BEGIN
    UPDATE sample_past SET published = true
    WHERE NOT published AND dataset_id = NEW.dataset_id AND until = NEW.revision AND since <= shown;
    RETURN NULL;
END $$;
CREATE TRIGGER version_1_inserted AFTER INSERT ON version FOR EACH ROW EXECUTE FUNCTION version_shows();
CREATE CONSTRAINT TRIGGER change_inserted AFTER INSERT ON change DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION change_shown();
