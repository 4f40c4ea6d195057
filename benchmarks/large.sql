-- name: history
-- The tables by hand keep what was before, as triggers on them can do at least cost: a copy of each old row, and an index.
CREATE TABLE hand.annotation_past (LIKE hand.annotation, until timestamptz NOT NULL);
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

-- name: empty_past
DROP TABLE IF EXISTS hand.sample_past;
CREATE TABLE hand.sample_past (LIKE hand.sample, until timestamptz NOT NULL);
CREATE INDEX ON hand.sample_past (id)

-- name: readable_past
-- What pages of a version need in addition, in each order and by each filter, and comparing two. To know since when a row
-- was so takes a column more of each sample, with an index: by hand that is left out.
CREATE INDEX ON hand.sample_past (dataset_id, created_at, id, until);
CREATE INDEX ON hand.sample_past (dataset_id, added_at, id, until);
CREATE INDEX ON hand.sample_past (dataset_id, path_order, id, until);
CREATE INDEX ON hand.sample_past (dataset_id, path, until);
CREATE INDEX ON hand.sample_past (dataset_id, coalesce(labeled_at, '0001-01-01 00:00:00.000001Z'), id, until);
CREATE INDEX ON hand.sample_past (dataset_id, labeled_by, created_at, id, until) WHERE labeled_by IS NOT NULL;
CREATE INDEX ON hand.sample_past (dataset_id, state, created_at, id, until);
CREATE INDEX ON hand.sample_past (dataset_id, created_at, id, until) WHERE hard;
CREATE INDEX ON hand.sample_past USING gin (label_ids);
CREATE INDEX ON hand.sample_past (source_id);
CREATE INDEX ON hand.sample_past (dataset_id, until, id)

-- name: sources
INSERT INTO hand.source (id, dataset_id, path, etag, size, modified_at)
SELECT id, dataset_id, path, etag, size, modified_at FROM source
WHERE dataset_id NOT IN (SELECT dataset_id FROM hand.source)
