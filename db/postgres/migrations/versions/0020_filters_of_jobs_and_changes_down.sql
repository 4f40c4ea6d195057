ALTER TABLE upload DROP COLUMN label_ids;
DROP INDEX change_newest, change_kind, change_actor, job_newest, job_kind, job_status, job_requested_by;
