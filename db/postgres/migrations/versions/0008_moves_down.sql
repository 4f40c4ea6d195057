ALTER TABLE job DROP COLUMN error_details;
DELETE FROM sync_item;
ALTER TABLE sync_item DROP CONSTRAINT sync_item_action_check,
    DROP COLUMN changed_at,
    DROP COLUMN sidecar_due,
    DROP COLUMN content,
    DROP COLUMN pixels,
    DROP COLUMN old_content,
    DROP COLUMN old_size,
    DROP COLUMN old_pixels,
    DROP COLUMN inspect_first,
    DROP COLUMN image,
    ADD CONSTRAINT sync_item_action_check CHECK (action IN ('NEW', 'CHANGED', 'RESTORED', 'SIDECAR', 'UNREADABLE',
                                                            'VANISHED'));
CREATE INDEX sync_item_vanished ON sync_item (job_id, etag, size) WHERE action = 'VANISHED' AND NOT settled;
ALTER TABLE sync_object DROP COLUMN changed_at;
ALTER TABLE source DROP COLUMN content_hash, DROP COLUMN pixel_hash, DROP COLUMN changed_at;
