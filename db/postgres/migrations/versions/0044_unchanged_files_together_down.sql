DROP TABLE sync_unchanged;
CREATE UNLOGGED TABLE sync_unchanged (
    job_id bigint NOT NULL,
    source_id bigint NOT NULL,
    PRIMARY KEY (job_id, source_id)
);
