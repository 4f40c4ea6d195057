-- `worker` names the session lock that the job's worker holds while it lives; a lock nobody holds is a dead worker.
ALTER TABLE job ADD COLUMN worker integer;
ALTER TABLE job ADD COLUMN ignored bigint DEFAULT 0 NOT NULL;

-- A resumed job may meet the same file again; it warns once.
CREATE UNIQUE INDEX job_warning_once ON job_warning (job_id, path, message);

-- Intents that failed wait their turn; `retry_at` spares a broken store from being asked without end.
ALTER TABLE source_deletion ADD COLUMN retry_at timestamptz DEFAULT now() NOT NULL;
CREATE INDEX source_deletion_path ON source_deletion (dataset_id, path) WHERE finished_at IS NULL;

-- What a listing found (COPY), and what is to be done about it. Unlogged: Postgres empties them when it crashes, and a
-- sync that finds its own work gone lists once more.
CREATE UNLOGGED TABLE sync_object (
    job_id bigint NOT NULL,
    path text COLLATE "C" NOT NULL,
    stem text COLLATE "C" NOT NULL,
    sidecar boolean NOT NULL,
    size bigint NOT NULL,
    modified_at timestamptz NOT NULL,
    etag text
);
CREATE INDEX sync_object_job ON sync_object (job_id);

CREATE UNLOGGED TABLE sync_item (
    job_id bigint NOT NULL,
    position bigint NOT NULL,
    action text NOT NULL,
    path text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    modified_at timestamptz NOT NULL,
    etag text,
    source_id bigint,
    sidecar_path text COLLATE "C",
    sidecar_etag text,
    settled boolean DEFAULT false NOT NULL,
    CONSTRAINT sync_item_pkey PRIMARY KEY (job_id, position),
    CONSTRAINT sync_item_action_check CHECK (action IN ('NEW', 'CHANGED', 'RESTORED', 'SIDECAR', 'UNREADABLE', 'VANISHED'))
);
CREATE INDEX sync_item_vanished ON sync_item (job_id, etag, size) WHERE action = 'VANISHED' AND NOT settled;
