-- The file that came with the request for an import, a few MiB at most, until the job ends.
CREATE TABLE import_file (
    job_id bigint NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT import_file_pkey PRIMARY KEY (job_id),
    CONSTRAINT import_file_job_id_fkey FOREIGN KEY (job_id) REFERENCES job (id) ON DELETE CASCADE
);
