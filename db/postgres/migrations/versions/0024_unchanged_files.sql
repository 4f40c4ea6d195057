-- Filled anew by each sync; a crash of Postgres may empty it, and the sync begins again.
CREATE UNLOGGED TABLE sync_unchanged (
    job_id bigint NOT NULL,
    source_id bigint NOT NULL,
    PRIMARY KEY (job_id, source_id)
);
