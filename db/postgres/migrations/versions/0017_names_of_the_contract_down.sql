ALTER TABLE annotation DISABLE TRIGGER USER;

UPDATE annotation
SET shape = jsonb_set(shape, '{type}', CASE shape ->> 'type' WHEN 'Polyline' THEN '"PolyLine"' ELSE '"PointShape"' END::jsonb)
WHERE shape ->> 'type' IN ('Polyline', 'Point');

ALTER TABLE annotation ENABLE TRIGGER USER;

UPDATE annotation_past
SET shape = jsonb_set(shape, '{type}', CASE shape ->> 'type' WHEN 'Polyline' THEN '"PolyLine"' ELSE '"PointShape"' END::jsonb)
WHERE shape ->> 'type' IN ('Polyline', 'Point');

ALTER TABLE version DROP CONSTRAINT version_status_check, ALTER COLUMN status SET DEFAULT 'NORMAL';

UPDATE version SET status = 'NORMAL' WHERE status = 'READY';

ALTER TABLE version ADD CONSTRAINT version_status_check CHECK (status IN ('CREATING', 'NORMAL', 'FAILED'));
