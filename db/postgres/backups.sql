-- name: columns
SELECT relname AS name, array_agg(attname ORDER BY attnum) AS columns
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
  AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
GROUP BY relname ORDER BY relname

-- name: sequences
SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename

-- name: set_sequence
SELECT setval(format('public.%I', :name::text)::regclass, :last, :called)

-- name: revision
SELECT version_num FROM alembic_version

-- name: count_datasets
SELECT count(*) FROM dataset WHERE deleted_at IS NULL

-- name: has_dataset
SELECT EXISTS (SELECT FROM dataset)

-- name: count_others
-- Connections to this database, without those of the server itself.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL

-- name: lock
SELECT pg_advisory_xact_lock(:key)

-- name: references
SELECT conrelid::regclass::text AS name, quote_ident(conname) AS constraint, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY conrelid, conname
