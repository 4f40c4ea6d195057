"""Splits that are written: which samples they put aside, compared with a model in plain Python."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pytest

from db.errors import Conflict
from db.history import changes
from db.history import split as split_of_versions
from db.history.division import Impossible, Stratum, Units, divide
from db.history.split import Split
from db.history.transactions import write
from db.history.versions import Published, publish
from db.labelling.samples.label import Labelled, LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from tests.db.dataset_rows import ANN

Labels = Mapping[str, frozenset[str]]  # of each sample, by its path
Usages = Mapping[str, str]
NAMES = ("ant", "bee", "cat", "dog", "eel")  # four together have another key than three


@dataclass(frozen=True, slots=True)
class Pets:
    database: Database
    id: int

    async def label(self, labels: Labels) -> None:
        for each in sorted(set(labels.values()), key=sorted):
            selected = Selection(paths=[path for path, found in labels.items() if found == each])
            how = LabelWith(labels=sorted(each), mode="SET")
            work = partial(label, dataset_id=self.id, selection=selected, how=how, by=ANN)
            await write(self.database, work, Labelled)

    async def publish(self, split: Split | None) -> int:
        made = await write(self.database, lambda session: publish(session, self.id, by=ANN, divided=split), Published)
        return made.version

    async def aside(self, version: int) -> Usages:
        """All that is put aside, also what has no label at present."""
        async with self.database.reading() as reader:
            rows = await reader.fetch(ASIDE, version)
        return {row["path"]: row["usage"] for row in rows}


ASIDE = """SELECT path, e.usage FROM version_eval e JOIN sample ON sample.id = sample_id WHERE version_id = $1"""


async def made(database: Database, name: str, paths: Iterable[str], names: Iterable[str]) -> Pets:
    """A dataset with samples and labels that were made in these orders."""
    async with database.writing() as session:
        connection = await connection_of(session)
        dataset = await connection.fetchval(
            "INSERT INTO dataset (name, type, input_path, created_by) "
            "VALUES ($1, 'IMAGE_CLASSIFICATION', '/', 'ann') RETURNING id",
            name,
        )
        change = await changes.record(session, dataset, kind="SYNC", actor="sync", summary="Synced")
        values = dataset, change.revision
        for each in names:
            await connection.execute("INSERT INTO label (dataset_id, since, name) VALUES ($1, $2, $3)", *values, each)
        for path in paths:
            await connection.execute(
                "WITH s AS (INSERT INTO source (dataset_id, path, etag, size, modified_at) "
                "VALUES ($1, $3, 'e', 1, now()) RETURNING *) "
                "INSERT INTO sample (dataset_id, source_id, path, created_at, since) "
                "SELECT dataset_id, id, path, modified_at, $2 FROM s",
                *values,
                path,
            )
    return Pets(database, dataset)


def expected(labels: Labels, split: Split, kept: Usages | None = None, training: Iterable[str] = ()) -> Usages | None:
    """What is put aside; None: it cannot be. `kept`: what was put aside in the version that is kept from, in which
    `training` were for training."""
    labelled = {path: found for path, found in labels.items() if found}
    units: dict[str, list[str]] = {}
    for path in labelled:
        name = path if split.group_by is None else path[: path.rfind("/") + 1]
        units.setdefault(name, []).append(path)
    strata: dict[Stratum, list[str]] = {}
    for name, paths in units.items():
        numbers = {NAMES.index(each) for path in paths for each in labelled[path]}
        strata.setdefault(Stratum(tuple(sorted(numbers)), len(paths)), []).append(name)

    def usage(name: str) -> str | None:
        before = [(kept or {}).get(path) for path in units[name]]
        evals, tests = before.count("EVAL"), before.count("TEST")
        return None if not evals + tests else "TEST" if tests > evals else "EVAL"

    def order(stratum: Stratum) -> object:
        if split.group_by is None:
            return stratum.labels
        return hashlib.sha256(
            repr((split.seed, stratum.size, [NAMES[each] for each in stratum.labels])).encode()
        ).digest()

    counts = {
        stratum: Units(len(names), *(sum(usage(name) == each for name in names) for each in ("EVAL", "TEST")))
        for stratum, names in strata.items()
    }
    try:
        divided = divide(counts, split.ratios, order=order)
    except Impossible:
        return None
    aside = dict(kept or {})
    for stratum, names in strata.items():
        was_training = {name for name in names if set(units[name]) & set(training)}
        free = sorted(
            (name for name in names if usage(name) is None),
            key=lambda name: (name in was_training, hashlib.md5(f"{split.seed}:{name}".encode()).hexdigest()),  # noqa: S324
        )
        evals = divided[stratum].kept_eval - counts[stratum].kept_eval
        tests = divided[stratum].kept_test - counts[stratum].kept_test
        drawn = dict.fromkeys(free[:evals], "EVAL") | dict.fromkeys(free[evals : evals + tests], "TEST")
        for name in names:
            found = usage(name) or drawn.get(name)
            aside |= {path: found for path in units[name] if found is not None}
    return aside


def some_labels(chance: random.Random, paths: Sequence[str]) -> Labels:
    """Some samples have none."""
    return {path: frozenset(chance.sample(NAMES, chance.choice([0, 1, 1, 1, 2]))) for path in paths}


SPLITS = [
    Split(0.8),
    Split(0.5, seed=3, test_ratio=0.25),
    Split(0.6, seed=-4, eval_ratio=0.2),
    Split(0.7, test_ratio=0.3),
    Split(0.5, seed=5, group_by="DIRECTORY"),
    Split(0.5, seed=6, test_ratio=0.2, group_by="DIRECTORY"),
]


@pytest.mark.parametrize("split", SPLITS)
async def test_a_split_is_that_of_the_model_in_any_order_of_insertion(database: Database, split: Split) -> None:
    chance, known = random.Random(repr(split)), 0
    for number in range(2):
        paths = [f"{chance.choice(['', 'a/', 'a/b/', 'b/', 'ç/', 'd/', 'e/'])}{each} ü.jpg" for each in range(60)]
        labels = some_labels(chance, paths)
        first = await made(database, f"a{number}", paths, NAMES)
        second = await made(database, f"b{number}", paths[::-1], NAMES if split.is_plain else NAMES[::-1])
        want = expected(labels, split)
        for pets in (first, second):
            await pets.label(labels)
        if want is None:
            with pytest.raises(Conflict, match="A split needs every label"):
                await first.publish(split)
            continue
        assert await first.aside(await first.publish(split)) == want
        version = await second.publish(split)
        assert await second.aside(version) == want
        known += 1
        # Labels change, also those of samples that were put aside; some samples lose theirs, and get others later.
        training = {path for path, found in labels.items() if found} - want.keys()
        for later in (replace(split, keep_from=version), replace(split, seed=99, keep_from=version)):
            labels = some_labels(chance, paths) if later.seed != 99 else {**labels, paths[0]: frozenset()}
            await second.label(labels)
            kept = expected(labels, later, want, training)
            if kept is None:
                with pytest.raises(Conflict, match="A split needs every label"):
                    await second.publish(later)
                continue
            last = await second.publish(later)
            assert await second.aside(last) == kept
            if split.group_by is None:
                assert want.items() <= kept.items()
            assert want.keys() <= kept.keys()
    assert known


@pytest.mark.parametrize("margin", [0, 1, split_of_versions.MARGIN])
async def test_a_split_is_exact_whether_or_not_enough_units_are_below_the_limits_of_strata(
    database: Database, monkeypatch: pytest.MonkeyPatch, margin: int
) -> None:
    monkeypatch.setattr(split_of_versions, "MARGIN", margin)
    paths = [f"{number}.jpg" for number in range(400)]
    sets = (frozenset({"cat"}), frozenset({"dog", "eel"}), frozenset(NAMES[:4]), frozenset[str]())
    labels = {path: sets[number % 7 % 4] for number, path in enumerate(paths)}
    pets = await made(database, "pets", paths, NAMES)
    await pets.label(labels)
    for split in (Split(0.8, seed=1), Split(0.95, seed=2), Split(0.7, seed=3, test_ratio=0.1)):
        assert await pets.aside(await pets.publish(split)) == expected(labels, split)


async def test_of_a_version_without_a_split_the_usages_of_its_samples_are_kept(database: Database) -> None:
    paths = [f"{number}.jpg" for number in range(20)]
    pets = await made(database, "pets", paths, NAMES)
    await pets.label(dict.fromkeys(paths, frozenset({"cat"})))
    async with database.writing() as session:
        connection = await connection_of(session)
        await connection.execute("UPDATE sample SET usage = 'TEST' WHERE path IN ('3.jpg', '5.jpg')")
        await connection.execute("UPDATE sample SET usage = 'TRAIN' WHERE path = '4.jpg'")
    version = await pets.publish(None)
    split = Split(0.5, test_ratio=0.25, keep_from=version)
    want = expected(
        dict.fromkeys(paths, frozenset({"cat"})),
        split,
        {"3.jpg": "TEST", "5.jpg": "TEST"},
        set(paths) - {"3.jpg", "5.jpg"},
    )
    assert want is not None
    assert await pets.aside(await pets.publish(split)) == want
