-- `content_hash`: a hash of the whole content, where `etag` is none. `pixel_hash`: a hash of the file without its
-- metadata. `changed_at`: when the file system last changed the file, whatever its modification time says.
ALTER TABLE source ADD COLUMN content_hash text,
    ADD COLUMN pixel_hash text,
    ADD COLUMN changed_at timestamp with time zone;

ALTER TABLE sync_object ADD COLUMN changed_at timestamp with time zone;

-- `inspect_first`: the image is read before moves are matched, and `image` is what reading it gave.
ALTER TABLE sync_item DROP CONSTRAINT sync_item_action_check,
    ADD COLUMN changed_at timestamp with time zone,
    ADD COLUMN sidecar_due boolean DEFAULT false NOT NULL,
    ADD COLUMN content text,
    ADD COLUMN pixels text,
    ADD COLUMN old_content text,
    ADD COLUMN old_size bigint,
    ADD COLUMN old_pixels text,
    ADD COLUMN inspect_first boolean DEFAULT false NOT NULL,
    ADD COLUMN image jsonb,
    ADD CONSTRAINT sync_item_action_check CHECK (action IN ('NEW', 'CHANGED', 'RESTORED', 'SIDECAR', 'UNREADABLE',
                                                            'VANISHED', 'DONE'));
DROP INDEX sync_item_vanished;

ALTER TABLE job ADD COLUMN error_details jsonb;
