DROP FUNCTION refresh_history(text);

CREATE OR REPLACE FUNCTION label_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO label_past
        SELECT o.id, o.dataset_id, o.name, o.color, o.shortcut, o.since, n.since
        FROM before o JOIN after n USING (id) WHERE n.since <> o.since;
    ELSE
        INSERT INTO label_past
        SELECT o.id, o.dataset_id, o.name, o.color, o.shortcut, o.since, d.revision
        FROM before o JOIN dataset d ON d.id = o.dataset_id WHERE d.deleted_at IS NULL AND o.since < d.revision;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION sample_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO sample_past
        SELECT o.id, o.dataset_id, o.source_id, o.path, o.created_at, o.added_at, o.state, o.label_ids, o.labeled_by,
               o.labeled_at, o.labeled_origin, o.hard, o.usage, o.since, n.since
        FROM before o JOIN after n USING (id) WHERE n.since <> o.since;
    ELSE
        INSERT INTO sample_past
        SELECT o.id, o.dataset_id, o.source_id, o.path, o.created_at, o.added_at, o.state, o.label_ids, o.labeled_by,
               o.labeled_at, o.labeled_origin, o.hard, o.usage, o.since, d.revision
        FROM before o JOIN dataset d ON d.id = o.dataset_id WHERE d.deleted_at IS NULL AND o.since < d.revision;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION annotation_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO annotation_past
        SELECT o.id, o.dataset_id, o.sample_id, o.label_id, o.labeled_by, o.labeled_at, o.origin, o.confidence,
               o.confirmed, o.shape, o.since, n.since
        FROM before o JOIN after n USING (id) WHERE n.since <> o.since;
    ELSE
        INSERT INTO annotation_past
        SELECT o.id, o.dataset_id, o.sample_id, o.label_id, o.labeled_by, o.labeled_at, o.origin, o.confidence,
               o.confirmed, o.shape, o.since, d.revision
        FROM before o JOIN dataset d ON d.id = o.dataset_id WHERE d.deleted_at IS NULL AND o.since < d.revision;
    END IF;
    RETURN NULL;
END $$;
