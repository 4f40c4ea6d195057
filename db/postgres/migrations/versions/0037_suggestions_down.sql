UPDATE change SET kind = 'ANNOTATE_SAMPLES' WHERE kind IN ('SUGGEST_ANNOTATIONS', 'DECIDE_SUGGESTIONS');

-- What several models suggest of a whole image becomes one suggestion.
DROP INDEX annotation_once, annotation_suggested_once, annotation_suggested;
DELETE FROM annotation a USING annotation other
WHERE a.sample_id = other.sample_id AND a.label_id = other.label_id AND a.shape IS NULL AND other.shape IS NULL
  AND NOT a.confirmed AND (other.confirmed OR other.id < a.id);
CREATE UNIQUE INDEX annotation_once ON annotation (sample_id, label_id) WHERE shape IS NULL;

DROP TRIGGER sample_3_deleted ON sample;
DROP TABLE verdict, verdict_past, suggestion_count;
DROP FUNCTION verdict_keep, verdict_count_inserted, verdict_count_deleted, verdict_count_updated,
    verdicts_of_samples_deleted;
ALTER TABLE annotation DROP COLUMN model_id;
ALTER TABLE annotation_past DROP COLUMN model_id;
SELECT refresh_history('annotation');
ALTER TABLE label_count DROP COLUMN suggestion_count;
ALTER TABLE version_label DROP COLUMN suggestion_count;

CREATE OR REPLACE FUNCTION annotation_count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE label_count SET annotation_count = label_count.annotation_count + d.n
    FROM (SELECT label_id, count(*) AS n FROM after WHERE confirmed GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION annotation_count_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE label_count SET annotation_count = label_count.annotation_count - d.n
    FROM (SELECT label_id, count(*) AS n FROM before WHERE confirmed GROUP BY label_id) d
    WHERE label_count.label_id = d.label_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION annotation_count_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE label_count SET annotation_count = label_count.annotation_count + d.n
    FROM (SELECT label_id, sum(n) AS n
          FROM (SELECT label_id, -count(*) AS n FROM before WHERE confirmed GROUP BY 1
                UNION ALL SELECT label_id, count(*) FROM after WHERE confirmed GROUP BY 1) s
          GROUP BY label_id HAVING sum(n) <> 0) d
    WHERE label_count.label_id = d.label_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION label_count_close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM label_count USING before WHERE label_count.label_id = before.id;
    RETURN NULL;
END $$;

DROP TABLE model;
DROP FUNCTION has_models;
