-- Of `import_line`: `candidates` begin with so many (`exact`) paths below the input path that an image may have; the next is
-- its path as it is in the file, then come the ends of that. {key} is what samples are compared by.
-- Of an image that the files contain it is one path: once if the line states that image, twice if it has the line's path and
-- the line states another, three times if their paths only end alike.

-- name: clear
DELETE FROM import_line WHERE job_id = :job_id

-- name: clear_label_warnings
-- Each name occurs again when the files are read again.
DELETE FROM job_warning WHERE job_id = :job_id AND name IS NOT NULL

-- name: clear_notices
DELETE FROM import_notice WHERE job_id = :job_id

-- name: clear_labels
DELETE FROM import_label WHERE job_id = :job_id

-- name: begin
-- What a dry run has counted is counted again; what was imported is not imported again.
UPDATE job SET matched = 0, kept = 0, missing = 0, beyond = 0,
               added = CASE WHEN is_dry_run THEN 0 ELSE added END,
               updated = CASE WHEN is_dry_run THEN 0 ELSE updated END,
               labeled = CASE WHEN is_dry_run THEN 0 ELSE labeled END
WHERE id = :job_id

-- name: match_paths
-- Samples at a path that a record means: of several whose names are only composed in different ways, that of this very name.
-- example: key = sample.path
UPDATE import_line line SET path = found.path, matched = 'PATH'
FROM (
    SELECT DISTINCT ON (given.position) given.position,
           CASE WHEN known.count = 1 OR known.path = c.path THEN known.path WHEN known.last = c.path THEN known.last END AS path
    FROM import_line given CROSS JOIN LATERAL unnest(given.candidates[1:given.exact]) WITH ORDINALITY AS c (path, n)
    JOIN (SELECT {key} AS key, min(path) AS path, max(path) AS last, count(*) AS count
          FROM sample WHERE dataset_id = $2 GROUP BY 1) known ON known.key = composed(c.path)
    WHERE given.job_id = $1 AND given.is_stem = $3
    ORDER BY given.position, c.n
) found
WHERE line.job_id = $1 AND line.position = found.position AND found.path IS NOT NULL

-- name: match_longer
-- The only sample whose path ends with a record's path.
-- example: key = sample.path
WITH line AS (
    SELECT position, candidates[exact + 1] AS path, cardinality(string_to_array(candidates[exact + 1], '/')) AS depth
    FROM import_line WHERE job_id = $1 AND is_stem = $3 AND path IS NULL
), depth AS (
    SELECT DISTINCT depth FROM line WHERE depth BETWEEN 2 AND 8
), known AS (
    SELECT array_to_string(parts[cardinality(parts) - depth + 1:], '/') AS key, min(path) AS path, count(*) AS count
    FROM (SELECT path, string_to_array({key}, '/') AS parts FROM sample WHERE dataset_id = $2) s
    JOIN depth ON cardinality(parts) > depth
    GROUP BY 1
)
UPDATE import_line SET path = known.path, matched = 'PATH_END'
FROM line JOIN known ON known.key = line.path
WHERE import_line.job_id = $1 AND import_line.position = line.position AND known.count = 1

-- name: match_shorter
-- The sample whose path a record's path ends with, the longest of them.
-- example: key = sample.path
UPDATE import_line line SET path = found.path, matched = 'PATH_END'
FROM (
    SELECT DISTINCT ON (given.position) given.position, known.path, known.count
    FROM import_line given
    CROSS JOIN LATERAL unnest(given.candidates[given.exact + 2:cardinality(given.candidates) - 1]) WITH ORDINALITY AS c (path, n)
    JOIN (SELECT {key} AS key, min(path) AS path, count(*) AS count FROM sample WHERE dataset_id = $2 GROUP BY 1) known
        ON known.key = c.path
    WHERE given.job_id = $1 AND given.is_stem = $3 AND given.path IS NULL
    ORDER BY given.position, c.n
) found
WHERE line.job_id = $1 AND line.position = found.position AND found.count = 1

-- name: match_names
-- The only sample of a file's name, if all records of this name mean the same image.
-- example: key = sample.path
WITH named AS (
    SELECT candidates[cardinality(candidates)] AS name, count(DISTINCT candidates[exact + 1]) AS count
    FROM import_line WHERE job_id = $1 AND is_stem = $3 GROUP BY 1
), known AS (
    SELECT regexp_replace({key}, '^.*/', '') AS name, min(path) AS path, count(*) AS count
    FROM sample WHERE dataset_id = $2 GROUP BY 1
)
UPDATE import_line line
SET path = CASE WHEN named.count = 1 AND known.count = 1 THEN known.path END,
    matched = CASE WHEN named.count = 1 AND known.count = 1 THEN 'NAME' ELSE 'AMBIGUOUS' END
FROM named JOIN known USING (name)
WHERE line.job_id = $1 AND line.is_stem = $3 AND line.path IS NULL
  AND line.candidates[cardinality(line.candidates)] = named.name

-- name: forget_shared
-- Several paths that lead to one sample, none of them its own.
UPDATE import_line line SET path = NULL, matched = 'AMBIGUOUS'
FROM (SELECT path FROM import_line WHERE job_id = $1 AND path IS NOT NULL
      GROUP BY path HAVING count(DISTINCT candidates[exact + 1]) > 1) shared
WHERE line.job_id = $1 AND line.path = shared.path AND line.matched <> 'PATH'

-- name: forget_shared_images
-- Several lines that lead to one image of the import: those remain that state it the most exactly (`exact`, the least),
-- but of those that only end alike (3) none.
UPDATE import_line line
SET origin = NULL, path = NULL, matched = 'AMBIGUOUS', candidates = line.candidates[line.exact + 1:], exact = 0
FROM (SELECT origin, min(exact) AS exact, count(DISTINCT candidates[exact + 1]) AS count
      FROM import_line WHERE job_id = $1 AND origin IS NOT NULL GROUP BY origin) shared
WHERE line.job_id = $1 AND line.origin = shared.origin
  AND (line.exact > shared.exact OR (line.exact = 3 AND shared.count > 1))

-- name: alike
-- Images that are stored at paths that differ only in the case of letters, and the first such path.
SELECT location, path, first
FROM (SELECT position, entry::jsonb ->> 'location' AS location, candidates[1] AS path,
             first_value(candidates[1]) OVER (PARTITION BY lower(candidates[1]) ORDER BY position) AS first
      FROM import_line WHERE job_id = $1 AND origin IS NOT NULL) AS stored
WHERE path <> first ORDER BY position LIMIT 1000

-- name: drop_repeated
-- An image that is stored has its own path; others that of a sample, or the likeliest.
WITH line AS (
    SELECT position, is_stem AND path IS NULL AS is_open,
           CASE WHEN origin IS NULL THEN coalesce(path, candidates[1]) ELSE candidates[1] END AS path
    FROM import_line WHERE job_id = $1
), ranked AS (
    SELECT position, path, first_value(position) OVER (PARTITION BY path, is_open ORDER BY position) AS first FROM line
), gone AS (
    DELETE FROM import_line l USING ranked r
    WHERE l.job_id = $1 AND l.position = r.position AND r.first < r.position
    RETURNING r.position, r.path, r.first, l.entry
)
SELECT gone.path, gone.entry::jsonb ->> 'location' AS location, before.entry::jsonb ->> 'location' AS first,
       count(*) OVER () AS dropped
FROM gone JOIN import_line before ON before.job_id = $1 AND before.position = gone.first
ORDER BY gone.position LIMIT 10000

-- name: uploaded
SELECT data FROM import_file WHERE job_id = :job_id
