"""Rows of every kind, for the tests of reading: made by SQL, the same in every run."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg

NOW = datetime.now(UTC).replace(microsecond=0)
DIRECTORIES = ("", "cats/", "cats/old/", "cats0/", "Größe/", "Gro\u0308ße/", "100%/", "a_b/", "猫/")
SUFFIXES = (".jpeg", ".jpg", ".PNG", ".bmp", ".jpg")
NAMES = (
    "IMG",
    "cafe\u0301",
    "img",
    "a_b",
    "axb",
    "50%",
    "back\\slash",
    "Ärger",
    "ärger",
    "猫",
    "dots.and",
    "sp ace",
    "q'uote",
    'd"q',
)
MODELS = (("res\\net", "1", 3), ("猫", 'v"2"', 2), ("idle", "1", 1))  # name, version, days
PEOPLE = ("ann", "Bob", "zoë", "sync", "猫")
CHANGES = ("LABEL_SAMPLES", "SYNC", "UNDO", "DELETE_SAMPLES", "UNDO")  # by revision; only some remove samples
SHAPES = (
    '{"type":"BoundingBox","xMin":1,"yMin":2.5,"xMax":30,"yMax":40}',
    '{"type":"Polygon","points":[{"x":1,"y":2},{"x":3.25,"y":4},{"x":0,"y":0}]}',
    '{"type":"Polyline","points":[{"x":1,"y":2},{"x":3,"y":4}]}',
    '{"type":"Circle","center":{"x":9,"y":8},"radius":7.5}',
    '{"type":"Point","position":{"x":1,"y":1}}',
)


async def fill(connection: asyncpg.Connection, samples: int = 60) -> None:
    """Three datasets: full, empty, deleted; and one more with a single sample."""
    chance = random.Random(4)
    for name, kind, deleted in (
        ("pets", "IMAGE_CLASSIFICATION", None),
        ("empty_one", "OBJECT_DETECTION", None),
        ("Gone", "IMAGE_CLASSIFICATION", NOW),
        ("PETS2", "IMAGE_SEGMENTATION", None),
    ):
        dataset = await connection.fetchval(
            """INSERT INTO dataset
                (name, type, input_path, output_path, description, created_by, created_at, deleted_at, include,
                 label_names)
            VALUES ($1, $2::text, '/in', CASE WHEN $2::text = 'OBJECT_DETECTION' THEN '/o"ut' END, 'a "b" \\ c',
                    'ann', $3, $4, ARRAY['**/*.jpg', 'a "b"/'], CASE WHEN $1 = 'pets' THEN 'ANY' ELSE 'STANDARD' END)
            RETURNING id""",
            name,
            kind,
            NOW - timedelta(days=1),
            deleted,
        )
        if kind != "OBJECT_DETECTION":
            await _fill_dataset(connection, chance, dataset, samples if name == "pets" else 3)


async def _fill_dataset(connection: asyncpg.Connection, chance: random.Random, dataset: int, samples: int) -> None:
    for revision, change_kind in enumerate(CHANGES, 1):
        await connection.execute(
            """INSERT INTO change (dataset_id, revision, kind, actor, summary, undoable, at, undone_by)
            VALUES ($1, $2::int, $5, $3, 'Did "it"', $4, $6,
                    (SELECT max(id) FROM change WHERE dataset_id = $1 AND $2::int = 3))""",
            dataset,
            revision,
            chance.choice(PEOPLE),
            revision % 2 == 0,
            change_kind,
            NOW - timedelta(days=(400, 29, 29, 0, 0)[revision - 1]),
        )
    await connection.execute("UPDATE dataset SET revision = 5 WHERE id = $1", dataset)
    labels = [
        await connection.fetchval(
            "INSERT INTO label (dataset_id, name, color, shortcut, since) VALUES ($1, $2, $3, $4, 1) RETURNING id",
            dataset,
            name,
            "#00ff00" if at % 2 else None,
            '"'[at:] or None,
        )
        for at, name in enumerate(("cat", "Cat", "dog-1", "狗", "unused"))
    ]
    models = [
        await connection.fetchval(
            """INSERT INTO model (dataset_id, name, version, created_at, suggested_at)
            VALUES ($1, $2, $3, $4, $5) RETURNING id""",
            dataset,
            *(name, version, NOW - timedelta(days=days), NOW - timedelta(hours=days)),
        )
        for name, version, days in MODELS
    ]
    for at in range(samples):
        await _make_sample(connection, chance, dataset, labels[:4], at, models)
    await _make_suggestions(connection, dataset, labels[:4], models[:2])
    await connection.execute(
        """INSERT INTO verdict (id, dataset_id, sample_id, label_id, model_id, confidence, outcome, since)
        SELECT 1000000 + id, dataset_id, sample_id, label_id, model_id, confidence,
               (ARRAY['ACCEPTED', 'REJECTED', 'CORRECTED'])[id % 3 + 1], 1
        FROM annotation WHERE dataset_id = $1 AND model_id IS NOT NULL""",
        dataset,
    )
    await _make_past(connection, dataset)
    await _make_jobs(connection, chance, dataset)
    await _make_exports(connection, dataset)
    await _make_large_changes(connection, dataset)
    await _make_auto_labels(connection, dataset)


async def _make_suggestions(connection: asyncpg.Connection, dataset: int, labels: list[int], models: list[int]) -> None:
    """Of models, on every other sample, labelled or not; and what follows from all suggestions that there are."""
    chance = random.Random(5)
    rows = await connection.fetch("SELECT id, label_ids FROM sample WHERE dataset_id = $1 ORDER BY id", dataset)
    for row in rows[::2]:
        for model in chance.sample(models, chance.choice((0, 1, 1, 2))):
            others = [label for label in labels if label not in row["label_ids"]]
            for label in chance.sample(others, min(len(others), chance.choice((1, 1, 2)))):
                await connection.execute(
                    """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confidence,
                                               confirmed, shape, since, model_id)
                    VALUES ($1, $2, $3, 'net', 'MODEL', $4, false, $5, 1, $6)""",
                    dataset,
                    row["id"],
                    label,
                    chance.choice((0.0, 0.25, 0.5, 0.5, 0.75, 1.0)),
                    chance.choice((None, None, SHAPES[0])),
                    model,
                )
    columns = ("state", "confidence", "margin", "entropy", "disagreement", "conflict")
    names = [name if name == "state" else f"suggestion_{name}" for name in columns]
    await connection.execute(
        f"""UPDATE sample SET {", ".join(f"{name} = derived.{name}" for name in names)}
        FROM sample s CROSS JOIN LATERAL derived_state(s.id) derived
        WHERE sample.id = s.id AND sample.dataset_id = $1""",
        dataset,
    )


async def _make_past(connection: asyncpg.Connection, dataset: int) -> None:
    """Some samples had other rows before, some were removed, and a label had another name."""
    names = "dataset_id, source_id, path, created_at, added_at, state, label_ids, labeled_by, labeled_at, hard, usage"
    names += ", labels_key, facets_key"
    await connection.execute(
        f"""INSERT INTO sample_past (id, {names}, since, until)
        SELECT id, {names}, greatest(since - 2, 0), since FROM sample
        WHERE dataset_id = $1 AND id % 3 = 0 AND since > 1
        UNION ALL SELECT id + 1000000, {names}, greatest(since - 1, 0), since FROM sample
        WHERE dataset_id = $1 AND id % 5 = 0 AND since IN (4, 5)""",
        dataset,
    )
    await connection.execute(
        """INSERT INTO label_past (id, dataset_id, name, since, until)
        SELECT id, dataset_id, 'was ' || name, 0, 1 FROM label WHERE dataset_id = $1 AND name = 'cat'""",
        dataset,
    )


async def _make_exports(connection: asyncpg.Connection, dataset: int) -> None:
    """One that succeeded, into an output path, and one that has not begun."""
    done, waiting = [
        await connection.fetchval(
            """INSERT INTO job (dataset_id, kind, status, scanned, requested_by, created_at)
            VALUES ($1, 'EXPORT', $2, 3, 'ann', $3) RETURNING id""",
            dataset,
            status,
            NOW - timedelta(days=days),
        )
        for status, days in (("SUCCEEDED", 3), ("QUEUED", 1))
    ]
    await connection.execute(
        """INSERT INTO export (job_id, dataset_id, format, images, packing, location, folder, is_temporary, expires_at,
                               revision, image_count, annotation_count, left_out_count, missing_count, total_size)
        VALUES ($1, $3, 'COCO', 'LINKS', 'FILES', '/out "1"', '', false, NULL, 4, 3, 7, 2, 1, 5000000000),
               ($2, $3, 'CSV', 'NONE', 'ZIP', '/in', 'f', true, '2026-12-01Z', NULL, NULL, NULL, NULL, NULL, NULL)""",
        done,
        waiting,
        dataset,
    )
    await connection.execute(
        """INSERT INTO export_file (job_id, path, object, size, sha256)
        VALUES ($1, 'a/"b".json', 'a/"b".json', 5000000000, repeat('ab', 32)), ($1, 'c.csv', 'c.csv', 1, 'cd'),
               ($2, 'c.csv', 'f-0', 1, 'cd')""",
        done,
        waiting,
    )


async def _make_large_changes(connection: asyncpg.Connection, dataset: int) -> None:
    """One that was committed, and one that runs."""
    for status, progress, started in (("SUCCEEDED", 1.0, "2026-06-01Z"), ("RUNNING", 0.25, "2026-06-02Z")):
        job = await connection.fetchval(
            """INSERT INTO job (dataset_id, kind, status, matched, progress, requested_by, created_at, started_at)
            VALUES ($1, 'LARGE_CHANGE', $2, 100000, $3, 'bob', $4::text::timestamptz, $4::text::timestamptz)
            RETURNING id""",
            dataset,
            status,
            progress,
            started,
        )
        if status == "SUCCEEDED":
            await connection.execute(
                """UPDATE change SET job_id = $1
                WHERE id = (SELECT id FROM change WHERE dataset_id = $2 ORDER BY id DESC LIMIT 1)""",
                job,
                dataset,
            )


async def _make_auto_labels(connection: asyncpg.Connection, dataset: int) -> None:
    """One that was evaluated and suggested, and one that waits."""
    done, waiting = [
        await connection.fetchval(
            """INSERT INTO job (dataset_id, kind, status, scanned, added, labeled, kept, missing, skipped, needs,
                                waits_for, requested_by, created_at)
            VALUES ($1, 'AUTO_LABEL', $2, 60, 12, 11, 3, 2, 1, 'VISION', $3, 'ann', $4) RETURNING id""",
            dataset,
            status,
            need,
            NOW - timedelta(days=days),
        )
        for status, need, days in (("SUCCEEDED", None, 2), ("QUEUED", "VISION", 1))
    ]
    await connection.execute(
        """INSERT INTO auto_label (job_id, dataset_id, model_kind, min_confidence, model_id, sample_count,
                                   evaluated_count, accuracy)
        VALUES ($1, $3, 'BUILT_IN', 0.9, (SELECT min(id) FROM model WHERE dataset_id = $3), 70, 50, 0.84),
               ($2, $3, 'ONNX', 0.5, NULL, 0, NULL, NULL)""",
        done,
        waiting,
        dataset,
    )
    await connection.execute(
        """INSERT INTO auto_label_score (job_id, label_id, name, sample_count, is_left_out, precision, recall, support)
        SELECT $1::bigint, id, name, 9 + id % 3, id % 3 = 0, nullif(0.75, id % 2 * 0.75), 0.5, 9 + id % 3
        FROM label WHERE dataset_id = $2
        UNION ALL SELECT $1::bigint, 99999999, 'gone "1"', 2, true, NULL, NULL, NULL""",
        done,
        dataset,
    )
    await connection.execute(
        "INSERT INTO auto_label_confusion (job_id, actual, predicted, count) VALUES ($1, 'cat', '狗', 2)", done
    )
    await connection.execute(
        """INSERT INTO auto_label_threshold (job_id, min_confidence, share, precision)
        VALUES ($1, 0.5, 0.75, 0.8), ($1, 0.9, 0, NULL)""",
        done,
    )
    await connection.execute(
        "INSERT INTO job_warning (job_id, path, message, count) VALUES ($1, 'a.jpg', 'It has no answer.', 1)", done
    )


ATTRIBUTES = (None, '{"difficult": true}', '{"truncated": true, "pose": "Left \\"1\\""}', '{"occluded": true}')


async def _make_sample(
    connection: asyncpg.Connection,
    chance: random.Random,
    dataset: int,
    labels: list[int],
    at: int,
    models: list[int],
) -> None:
    path = (
        f"{chance.choice(DIRECTORIES)}{chance.choice(NAMES)}{at if at % 3 else ''}.{at}{SUFFIXES[at % len(SUFFIXES)]}"
    )
    made = NOW - timedelta(
        days=chance.choice((0, 0, 1, 2, 29, 30, 31, 400)), microseconds=chance.choice((0, 120000, 7))
    )
    made += timedelta(hours=chance.choice((-5, 0, 0, 48)))
    known = chance.random() < 0.8
    source = await connection.fetchval(
        """INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height, orientation,
                               damaged)
        VALUES ($1, $2, 'e', $3, $4, $5, $6, 640, $7, $8) RETURNING id""",
        dataset,
        path,
        chance.randrange(1, 5_000_000),
        made,
        chance.choice(("JPEG", "PNG", "BMP", "TIFF", "AVIF")) if known else None,
        chance.choice((640, 640, 640, 16_385)) if known else None,
        at % 8 + 1 if known else None,
        known and at % 7 == 0,
    )
    carried = sorted(chance.sample(labels, chance.choice((0, 0, 1, 1, 2, 3))))
    suggested = not carried and chance.random() < 0.4
    who = chance.choice(PEOPLE) if carried else None
    sample = await connection.fetchval(
        """INSERT INTO sample (dataset_id, source_id, path, created_at, state, label_ids, labeled_by, labeled_at,
                               labeled_origin, hard, usage, since, added_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'MANUAL', $9, $10, $11, $12) RETURNING id""",
        dataset,
        source,
        path,
        made,
        "LABELED" if carried else "PENDING" if suggested else "UNLABELED",
        carried,
        who,
        NOW - timedelta(hours=at % 5) if carried else None,
        chance.random() < 0.3,
        chance.choice((None, None, "TRAIN", "EVAL")),
        chance.randrange(1, 6),
        NOW - timedelta(days=at * 7 % 10, microseconds=at % 2),
    )
    for label in carried or ([labels[0]] if suggested else []):
        for shape in chance.choice(((None,), (None,), SHAPES[:1], SHAPES[1:3], SHAPES[3:])):
            confidence = chance.choice((None, 0.5, 1.0))
            await connection.execute(
                """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confidence, confirmed,
                                           shape, attributes, model_id, since)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)""",
                dataset,
                sample,
                label,
                who or "model",
                "MODEL" if suggested else "MANUAL",
                confidence,
                not suggested,
                shape,
                ATTRIBUTES[at % len(ATTRIBUTES)],
                None if confidence is None else (*models[:2], None)[at % 3],
            )


async def _make_jobs(connection: asyncpg.Connection, chance: random.Random, dataset: int) -> None:
    for status, kind, days in (
        ("SUCCEEDED", "SYNC", 400),
        ("FAILED", "IMPORT", 2),
        ("RUNNING", "PURGE", 2),
        ("SUCCEEDED", "IMPORT", 2),
        ("RUNNING", "SYNC", 0),
    ):
        failed = status == "FAILED"
        job = await connection.fetchval(
            """INSERT INTO job (dataset_id, kind, status, progress, error_code, error_message, scanned,
                                started_at, finished_at, created_at, requested_by)
            VALUES ($1, $2, $3, $4, $5, $6, 12, $7, $8, $9, $10) RETURNING id""",
            dataset,
            kind,
            status,
            chance.choice((None, 0.0, 0.25, 1.0)),
            "STORAGE_ERROR" if failed else None,
            'Cannot read "it"' if failed else None,
            NOW,
            None if status == "RUNNING" else NOW,
            NOW - timedelta(days=days),
            chance.choice(PEOPLE),
        )
        await connection.execute(
            """INSERT INTO ignored_files (job_id, reason, suffix, count, examples)
            VALUES ($1, 'SUFFIX', '.gif', 2, ARRAY['a "b".gif', 'c\\d.gif']),
                   ($1, 'HIDDEN', NULL, 1, ARRAY['.a.jpg'])""",
            job,
        )
        if kind == "SYNC" and days:
            await connection.execute("UPDATE job SET is_dry_run = true, unchanged = 7 WHERE id = $1", job)
            await connection.execute(
                """INSERT INTO sync_example (job_id, effect, paths, former_paths)
                VALUES ($1, 'MOVED', ARRAY['a "b".jpg', 'c\\d.jpg'], ARRAY['e.jpg', 'f.jpg']),
                       ($1, 'ADDED', ARRAY['猫.jpg'], '{}')""",
                job,
            )
        if kind == "IMPORT":
            await connection.execute(
                """UPDATE job SET format = $2, is_dry_run = $3, matched = 4, kept = 3, missing = 2, beyond = 1
                WHERE id = $1""",
                job,
                None if failed else "COCO",
                failed,
            )
            await connection.execute(
                """INSERT INTO import_label (job_id, name, sample_count, annotation_count)
                VALUES ($1, 'traffic "light"', 2, 5), ($1, '猫', 1, 1)""",
                job,
            )
            await connection.execute(
                """INSERT INTO import_notice (job_id, kind, count, examples)
                VALUES ($1, 'IMAGE_MISSING', 2, ARRAY['a.json#/images/1: "no"', 'b\\c']), ($1, 'CONTENT', 1, '{}')""",
                job,
            )
        for at in range(5):
            await connection.execute(
                "INSERT INTO job_warning (job_id, path, message) VALUES ($1, $2, 'bad \"line\"')", job, f"a{at}.txt:3"
            )
