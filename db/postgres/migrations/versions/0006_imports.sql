-- Importing manifests. A dataset has one sync or one import at a time.
ALTER TABLE job DROP CONSTRAINT job_kind_check,
    ADD CONSTRAINT job_kind_check CHECK (kind IN ('SYNC', 'PURGE', 'MANIFEST', 'IMPORT'));
DROP INDEX job_one_active;
CREATE UNIQUE INDEX job_one_active ON job (dataset_id)
    WHERE kind IN ('SYNC', 'IMPORT') AND status IN ('QUEUED', 'RUNNING');
ALTER TABLE job ADD COLUMN labeled bigint DEFAULT 0 NOT NULL;

-- The lines of a manifest that name an image, by the path that it has, or is to have, below the input path. `origin`:
-- where it lies, if not there. Unlogged: an import that finds them gone reads the manifest once more.
CREATE UNLOGGED TABLE import_line (
    job_id bigint NOT NULL,
    position bigint NOT NULL,
    path text COLLATE "C",
    origin text COLLATE "C",
    entry text NOT NULL,
    CONSTRAINT import_line_pkey PRIMARY KEY (job_id, position)
);
CREATE INDEX import_line_path ON import_line (job_id, path);
