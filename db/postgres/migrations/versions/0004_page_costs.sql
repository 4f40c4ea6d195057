-- What a page costs before and beside its own rows.

-- The functions that the planner calls while it plans a page. PL/pgSQL keeps the plans of its statements for as long as
-- the connection lasts; a function of language SQL is planned with every statement that calls it.

CREATE OR REPLACE FUNCTION labels_named(dataset bigint, names text[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(l.id), '{}') FROM label l WHERE l.dataset_id = dataset AND l.name = ANY (names));
END $$;

CREATE OR REPLACE FUNCTION labels_all_named(dataset bigint, names text[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT CASE WHEN count(*) = cardinality(names) THEN coalesce(array_agg(l.id), '{}') END
            FROM label l WHERE l.dataset_id = dataset AND l.name = ANY (names));
END $$;

CREATE OR REPLACE FUNCTION labels_named_in(version bigint, names text[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(l.label_id), '{}')
            FROM version_label l WHERE l.version_id = labels_named_in.version AND l.name = ANY (names));
END $$;

CREATE OR REPLACE FUNCTION labels_all_named_in(version bigint, names text[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT CASE WHEN count(*) = cardinality(names) THEN coalesce(array_agg(l.label_id), '{}') END
            FROM version_label l WHERE l.version_id = labels_all_named_in.version AND l.name = ANY (names));
END $$;

CREATE OR REPLACE FUNCTION labels_few(dataset bigint, names text[], every boolean, page bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    samples float8;
    matches float8;
BEGIN
    SELECT greatest(d.total, 1) INTO samples FROM dataset d WHERE d.id = labels_few.dataset;
    SELECT CASE WHEN every THEN samples * exp(sum(ln(greatest(c.sample_count, 1) / samples))) ELSE sum(c.sample_count) END
    INTO matches
    FROM label l JOIN label_count c ON c.label_id = l.id
    WHERE l.dataset_id = labels_few.dataset AND l.name = ANY (names);
    RETURN power(matches, 2) < page * samples;
END $$;

CREATE OR REPLACE FUNCTION labels_few_in(version bigint, names text[], every boolean, page bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    samples float8;
    matches float8;
BEGIN
    SELECT greatest(v.total, 1) INTO samples FROM version v WHERE v.id = labels_few_in.version;
    SELECT CASE WHEN every THEN samples * exp(sum(ln(greatest(l.sample_count, 1) / samples))) ELSE sum(l.sample_count) END
    INTO matches
    FROM version_label l WHERE l.version_id = labels_few_in.version AND l.name = ANY (names);
    RETURN power(matches, 2) < page * samples;
END $$;

-- A walk along an order meets other revisions' past rows in vain; that many are sorted in no time.
CREATE OR REPLACE FUNCTION version_past_few(version bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM version v JOIN sample_past p ON p.dataset_id = v.dataset_id AND p.until > v.revision
        WHERE v.id = version_past_few.version OFFSET 100);
END $$;

-- A version's pages pass the past rows of other revisions: `since` and `until` in the index say which, unseen.
DROP INDEX sample_past_newest, sample_past_state, sample_past_path, sample_past_hard, sample_past_labeled_by;
CREATE INDEX sample_past_newest ON sample_past (dataset_id, created_at, id, since, until);
CREATE INDEX sample_past_state ON sample_past (dataset_id, state, created_at, id, since, until);
CREATE INDEX sample_past_path ON sample_past (dataset_id, path, since, until);
CREATE INDEX sample_past_hard ON sample_past (dataset_id, created_at, id, since, until) WHERE hard;
CREATE INDEX sample_past_labeled_by ON sample_past (dataset_id, labeled_by, created_at, id, since, until) WHERE labeled_by IS NOT NULL;
