-- What happens to a dataset besides its changes, which are numbered themselves: each status of its jobs, its versions
-- and their manifests. `number` counts the events of a dataset without gaps, in the order of their commits; `revision`
-- is the dataset's at that time. The rows are few for each job and version, and stay as long as those.
CREATE TABLE dataset_event (
    dataset_id bigint NOT NULL REFERENCES dataset ON DELETE CASCADE,
    number bigint NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('JOB', 'VERSION_PUBLISHED', 'VERSION_DELETED', 'MANIFEST_WRITTEN')),
    subject_id bigint NOT NULL, -- of the job or version
    detail text NOT NULL, -- the status of the job, or the name of the version
    PRIMARY KEY (dataset_id, number)
);

-- The triggers are deferred to the commit, the only time at which their lock is held: it is the last one that a
-- transaction takes, and whoever holds it waits for nobody but other commits. The next holder sees what was committed,
-- so no number is given before a smaller one can be read, and no revision is noted before a smaller one.
CREATE FUNCTION add_dataset_event(dataset bigint, kind text, subject_id bigint, detail text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(3, dataset::int);
    INSERT INTO dataset_event (dataset_id, number, revision, kind, subject_id, detail)
    SELECT d.id, coalesce((SELECT max(number) FROM dataset_event e WHERE e.dataset_id = d.id), 0) + 1, d.revision,
           add_dataset_event.kind, add_dataset_event.subject_id, add_dataset_event.detail
    FROM dataset d WHERE d.id = dataset AND d.deleted_at IS NULL;
    IF FOUND THEN
        PERFORM pg_notify('labelgraph', 'dataset:' || dataset);
    END IF;
END $$;

CREATE FUNCTION job_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM add_dataset_event(NEW.dataset_id, 'JOB', NEW.id, NEW.status);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER job_inserted AFTER INSERT ON job DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.kind <> 'PURGE') EXECUTE FUNCTION job_event();
CREATE CONSTRAINT TRIGGER job_updated AFTER UPDATE OF status ON job DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.kind <> 'PURGE') EXECUTE FUNCTION job_event();

CREATE FUNCTION version_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_dataset_event(NEW.dataset_id, 'VERSION_PUBLISHED', NEW.id, NEW.name);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_dataset_event(OLD.dataset_id, 'VERSION_DELETED', OLD.id, OLD.name);
    ELSE
        PERFORM add_dataset_event(NEW.dataset_id, 'MANIFEST_WRITTEN', NEW.id, NEW.name);
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER version_inserted AFTER INSERT ON version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION version_event();
CREATE CONSTRAINT TRIGGER version_deleted AFTER DELETE ON version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION version_event();
CREATE CONSTRAINT TRIGGER version_written AFTER UPDATE OF manifest_path ON version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.manifest_path IS NOT NULL) EXECUTE FUNCTION version_event();
