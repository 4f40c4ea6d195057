-- Each list is sorted by time, and then by what is unique in it: a period is a range of every index, and the newest with
-- one value are read from its end.
CREATE INDEX change_newest ON change (dataset_id, at, revision);
CREATE INDEX change_kind ON change (dataset_id, kind, at, revision);
CREATE INDEX change_actor ON change (dataset_id, actor, at, revision);
CREATE INDEX job_newest ON job (dataset_id, created_at, id);
CREATE INDEX job_kind ON job (dataset_id, kind, created_at, id);
CREATE INDEX job_status ON job (dataset_id, status, created_at, id);
CREATE INDEX job_requested_by ON job (dataset_id, requested_by, created_at, id);

ALTER TABLE upload ADD COLUMN label_ids bigint[] DEFAULT '{}' NOT NULL;
