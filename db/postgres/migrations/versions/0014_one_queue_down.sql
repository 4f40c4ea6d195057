INSERT INTO pgqueuer (priority, status, entrypoint, dedupe_key, payload, execute_after)
SELECT 0, 'queued', 'labelgraph_job', 'job:' || id, convert_to(id::text, 'UTF8'), due_at FROM job WHERE status = 'QUEUED';
DROP INDEX job_due;
ALTER TABLE job DROP COLUMN due_at;
