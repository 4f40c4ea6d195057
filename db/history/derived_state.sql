-- name: refresh
-- Derives the columns of the samples in `selected (id)` that follow from their annotations. :actor has labelled them
-- now; without an actor they keep who labelled them, and where that is not known, or with :latest, the latest confirmed
-- annotation says it. :origin is that of the actor's labels, or of a sample that has lost its last label.
UPDATE sample SET
    label_ids = derived.label_ids,
    state = derived.state,
    labeled_by = CASE derived.state WHEN 'LABELED' THEN coalesce(
        :actor::text, CASE WHEN NOT :latest::boolean THEN sample.labeled_by END,
        (SELECT a.labeled_by FROM annotation a WHERE a.sample_id = sample.id AND a.confirmed
         ORDER BY a.labeled_at DESC, a.id DESC LIMIT 1)) END,
    labeled_at = CASE derived.state WHEN 'LABELED' THEN coalesce(
        CASE WHEN :actor::text IS NOT NULL THEN now() END,
        CASE WHEN NOT :latest::boolean AND isfinite(sample.labeled_at) THEN sample.labeled_at END,
        (SELECT max(a.labeled_at) FROM annotation a WHERE a.sample_id = sample.id AND a.confirmed)) END,
    labeled_origin = CASE WHEN :actor::text IS NULL AND NOT :latest::boolean AND derived.state = 'LABELED'
                          THEN sample.labeled_origin ELSE coalesce(:origin::text, sample.labeled_origin) END,
    suggestion_confidence = derived.suggestion_confidence,
    suggestion_margin = derived.suggestion_margin,
    suggestion_entropy = derived.suggestion_entropy,
    suggestion_disagreement = derived.suggestion_disagreement,
    suggestion_conflict = derived.suggestion_conflict,
    suggestion_lowest = derived.suggestion_lowest,
    since = coalesce(:since::bigint, sample.since)
FROM (SELECT selected.id, of_sample.* FROM selected CROSS JOIN LATERAL derived_state(selected.id) of_sample) derived
WHERE sample.id = derived.id
