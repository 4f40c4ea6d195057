DO $$
BEGIN
    IF to_regclass('source_path_words') IS NOT NULL THEN
        DROP INDEX source_path_words;
        CREATE INDEX source_path_words ON source USING gin (lower(path) gin_trgm_ops);
    END IF;
END $$;
DROP STATISTICS source_path_words_seen;
CREATE STATISTICS source_path_words_seen ON lower(path) FROM source;
DROP INDEX sample_decomposed;
DROP FUNCTION composed(text);
DROP TABLE sync_sidecar;
DELETE FROM sync_object;
ALTER TABLE sync_object DROP COLUMN keys, DROP COLUMN reason, ADD COLUMN stem text COLLATE "C" NOT NULL;
DROP TABLE ignored_files;
DROP INDEX job_warning_name;
ALTER TABLE job_warning DROP COLUMN name, DROP COLUMN count;
-- Fails while there are labels that only the rule ANY allows: shorten or delete them first.
ALTER TABLE label DROP CONSTRAINT label_name_check,
    ADD CONSTRAINT label_name_check CHECK (char_length(name) BETWEEN 1 AND 32);
ALTER TABLE dataset DROP COLUMN include, DROP COLUMN exclude, DROP COLUMN label_names;
