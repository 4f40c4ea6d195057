DELETE FROM job WHERE id IN (SELECT job_id FROM import_file) AND status IN ('QUEUED', 'RUNNING');
DROP TABLE import_file;
