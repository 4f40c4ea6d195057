-- Stored words are those of the schema. The same annotations under new words are no change: no trigger keeps the rows as
-- they were, and nothing is counted. Only rows with such a word are written.

ALTER TABLE annotation DISABLE TRIGGER USER;

UPDATE annotation
SET shape = jsonb_set(shape, '{type}', CASE shape ->> 'type' WHEN 'PolyLine' THEN '"Polyline"' ELSE '"Point"' END::jsonb)
WHERE shape ->> 'type' IN ('PolyLine', 'PointShape');

ALTER TABLE annotation ENABLE TRIGGER USER;

UPDATE annotation_past
SET shape = jsonb_set(shape, '{type}', CASE shape ->> 'type' WHEN 'PolyLine' THEN '"Polyline"' ELSE '"Point"' END::jsonb)
WHERE shape ->> 'type' IN ('PolyLine', 'PointShape');

ALTER TABLE version DROP CONSTRAINT version_status_check, ALTER COLUMN status SET DEFAULT 'READY';

UPDATE version SET status = 'READY' WHERE status = 'NORMAL';

ALTER TABLE version ADD CONSTRAINT version_status_check CHECK (status IN ('CREATING', 'READY', 'FAILED'));
