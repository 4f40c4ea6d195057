-- A queued job may be claimed from `due_at` on; jobs that are queued now keep their time.
ALTER TABLE job ADD COLUMN due_at timestamptz DEFAULT now() NOT NULL;
UPDATE job SET due_at = queued.execute_after FROM pgqueuer AS queued
WHERE queued.dedupe_key = 'job:' || job.id AND queued.status = 'queued' AND job.status = 'QUEUED';
-- No worker claimed a job that was canceled and then returned to the queue.
UPDATE job SET status = 'CANCELED', finished_at = now(), step = step + 1 WHERE status = 'QUEUED' AND cancel_requested;
CREATE INDEX job_due ON job (due_at, id) WHERE status = 'QUEUED';

-- Lines of manifests are staged in another form from here on: an import that was interrupted reads its manifest again.
TRUNCATE import_line;
UPDATE job SET checkpoint = '{}' WHERE kind = 'IMPORT' AND status IN ('QUEUED', 'RUNNING');

DROP TABLE pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics;
DROP FUNCTION fn_pgqueuer_changed;
DROP TYPE pgqueuer_status;
