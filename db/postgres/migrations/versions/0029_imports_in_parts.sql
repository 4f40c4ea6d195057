-- Files for imports whose parts are staged, each as an object `{staged}-{number}`; `uploaded` of them, from the first on, are
-- known to be there.
CREATE TABLE import_upload (
    staged text COLLATE "C" NOT NULL,
    dataset_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    file_name text NOT NULL,
    size bigint NOT NULL,
    uploaded integer DEFAULT 0 NOT NULL,
    expires_at timestamptz NOT NULL,
    sweep_at timestamptz DEFAULT '-infinity' NOT NULL,
    CONSTRAINT import_upload_pkey PRIMARY KEY (staged),
    CONSTRAINT import_upload_key UNIQUE (dataset_id, key),
    CONSTRAINT import_upload_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES dataset (id)
);
CREATE INDEX import_upload_expiry ON import_upload (expires_at);
