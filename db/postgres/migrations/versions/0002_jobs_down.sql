DROP TABLE sync_item, sync_object;
DROP INDEX source_deletion_path;
ALTER TABLE source_deletion DROP COLUMN retry_at;
DROP INDEX job_warning_once;
ALTER TABLE job DROP COLUMN worker, DROP COLUMN ignored;
DROP TABLE pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics;
DROP FUNCTION fn_pgqueuer_changed;
DROP TYPE pgqueuer_status;
