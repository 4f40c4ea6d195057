-- name: history
-- The tables by hand keep what was before, as triggers on them can do at least cost: a copy of each old row, and an index.
CREATE TABLE hand.sample_past (LIKE hand.sample, until timestamptz NOT NULL);
CREATE TABLE hand.annotation_past (LIKE hand.annotation, until timestamptz NOT NULL);
CREATE INDEX ON hand.sample_past (id);
CREATE INDEX ON hand.annotation_past (id);
CREATE FUNCTION hand.keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO hand.%I SELECT *, now() FROM before', TG_TABLE_NAME || '_past');
    RETURN NULL;
END $$;
CREATE TRIGGER keep_updated AFTER UPDATE ON hand.sample
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hand.keep();
CREATE TRIGGER keep_deleted AFTER DELETE ON hand.sample
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hand.keep();
CREATE TRIGGER keep_updated AFTER UPDATE ON hand.annotation
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hand.keep();
CREATE TRIGGER keep_deleted AFTER DELETE ON hand.annotation
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hand.keep();

-- name: sources
INSERT INTO hand.source (id, dataset_id, path, etag, size, modified_at)
SELECT id, dataset_id, path, etag, size, modified_at FROM source
WHERE dataset_id NOT IN (SELECT dataset_id FROM hand.source)
