DROP INDEX change_job;
DROP TABLE import_notice, import_label;
TRUNCATE import_line;
UPDATE job SET checkpoint = '{}' WHERE kind = 'IMPORT' AND status IN ('QUEUED', 'RUNNING');
ALTER TABLE import_line DROP COLUMN candidates, DROP COLUMN exact, DROP COLUMN is_stem, DROP COLUMN matched;
DELETE FROM job WHERE kind = 'IMPORT' AND format IS DISTINCT FROM 'MODELARTS_MANIFEST';
UPDATE job SET arguments = arguments - 'path' || jsonb_build_object('manifest', arguments -> 'path')
WHERE kind = 'IMPORT' AND arguments ? 'path';
ALTER TABLE job DROP COLUMN format, DROP COLUMN is_dry_run, DROP COLUMN matched, DROP COLUMN kept, DROP COLUMN missing,
    DROP COLUMN beyond;
