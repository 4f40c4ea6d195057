ALTER TABLE job ADD COLUMN version_id bigint REFERENCES version ON DELETE SET NULL;
UPDATE job SET version_id = version.id
FROM version WHERE job.kind = 'MANIFEST' AND version.id = (job.arguments ->> 'version')::bigint;
CREATE INDEX job_version ON job (version_id, id) WHERE version_id IS NOT NULL;
CREATE UNIQUE INDEX job_one_manifest ON job (version_id) WHERE kind = 'MANIFEST' AND status IN ('QUEUED', 'RUNNING');

-- Grows whenever a key that had ended is requested anew: what was found out about the file before is not about this one.
ALTER TABLE upload ADD COLUMN generation integer DEFAULT 0 NOT NULL;
