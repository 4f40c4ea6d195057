-- As 0001 and 0003 had them.

CREATE OR REPLACE FUNCTION labels_named(dataset bigint, names text[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(id), '{}') FROM label WHERE dataset_id = dataset AND name = ANY (names)
$$;

CREATE OR REPLACE FUNCTION labels_all_named(dataset bigint, names text[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN count(*) = cardinality(names) THEN coalesce(array_agg(id), '{}') END
    FROM label WHERE dataset_id = dataset AND name = ANY (names)
$$;

CREATE OR REPLACE FUNCTION labels_few(dataset bigint, names text[], every boolean, page bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(power(CASE WHEN every THEN total * exp(sum(ln(greatest(n, 1) / total))) ELSE sum(n) END, 2)
                    < page * total, true)
    FROM (SELECT c.sample_count::float8 AS n, greatest(d.total, 1)::float8 AS total
          FROM dataset d JOIN label l ON l.dataset_id = d.id JOIN label_count c ON c.label_id = l.id
          WHERE d.id = dataset AND l.name = ANY (names)) label
    GROUP BY total
$$;

CREATE OR REPLACE FUNCTION labels_named_in(version bigint, names text[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(label_id), '{}') FROM version_label WHERE version_id = version AND name = ANY (names)
$$;

CREATE OR REPLACE FUNCTION labels_all_named_in(version bigint, names text[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN count(*) = cardinality(names) THEN coalesce(array_agg(label_id), '{}') END
    FROM version_label WHERE version_id = version AND name = ANY (names)
$$;

CREATE OR REPLACE FUNCTION labels_few_in(version bigint, names text[], every boolean, page bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(power(CASE WHEN every THEN total * exp(sum(ln(greatest(n, 1) / total))) ELSE sum(n) END, 2)
                    < page * total, true)
    FROM (SELECT l.sample_count::float8 AS n, greatest(v.total, 1)::float8 AS total
          FROM version v JOIN version_label l ON l.version_id = v.id
          WHERE v.id = version AND l.name = ANY (names)) label
    GROUP BY total
$$;

CREATE OR REPLACE FUNCTION version_past_few(version bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT count(*) < 300 FROM (
        SELECT FROM version v JOIN sample_past p ON p.dataset_id = v.dataset_id AND p.until > v.revision
        WHERE v.id = version_past_few.version LIMIT 300) few);
END $$;

DROP INDEX sample_past_newest, sample_past_state, sample_past_path, sample_past_hard, sample_past_labeled_by;
CREATE INDEX sample_past_newest ON sample_past (dataset_id, created_at, id);
CREATE INDEX sample_past_state ON sample_past (dataset_id, state, created_at, id);
CREATE INDEX sample_past_path ON sample_past (dataset_id, path);
CREATE INDEX sample_past_hard ON sample_past (dataset_id, created_at, id) WHERE hard;
CREATE INDEX sample_past_labeled_by ON sample_past (dataset_id, labeled_by, created_at, id) WHERE labeled_by IS NOT NULL;
