ALTER TABLE annotation DROP COLUMN attributes;
ALTER TABLE annotation_past DROP COLUMN attributes;
SELECT refresh_history('annotation');
DROP INDEX source_damaged;
ALTER TABLE source DROP COLUMN damaged;
