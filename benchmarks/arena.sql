-- name: sizes
SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS "WAL", sum(pg_table_size(oid))::float8 AS tables,
       sum(pg_indexes_size(oid))::float8 AS indexes
FROM pg_class WHERE relnamespace = :schema::text::regnamespace AND relkind = 'r'

-- name: without_autovacuum
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class
                WHERE relnamespace IN ('public'::regnamespace, 'hand'::regnamespace) AND relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', name);
    END LOOP;
END $$
