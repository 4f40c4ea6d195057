DROP TRIGGER job_inserted ON job;
DROP TRIGGER job_updated ON job;
DROP TRIGGER version_inserted ON version;
DROP TRIGGER version_deleted ON version;
DROP TRIGGER version_written ON version;
DROP FUNCTION job_event(), version_event(), add_dataset_event(bigint, text, bigint, text);
DROP TABLE dataset_event;
