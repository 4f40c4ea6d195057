-- Filled anew by each sync; a crash of Postgres may empty it, and the sync begins again.
DROP TABLE sync_unchanged;
CREATE UNLOGGED TABLE sync_unchanged (
    job_id bigint NOT NULL,
    source_ids bigint[] NOT NULL
);
ALTER TABLE sync_unchanged ALTER source_ids SET STORAGE EXTERNAL; -- compressing them takes longer than to write them
CREATE INDEX sync_unchanged_job ON sync_unchanged (job_id);
