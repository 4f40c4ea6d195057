"""The classifier and its evaluation: against formulas written out, and against what it was not evaluated."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from db.vision import LAST, classifier, evaluation
from db.vision.arrays import Array
from db.vision.classifier import Covariance, Moments
from db.vision.evaluation import Evaluation
from db.vision.features import COUNT
from db.vision.targets import of_one, of_several
from tests.conftest import ROOT

LABELS = 4


def seen(latent: Array, random: np.random.Generator) -> Array:
    """Features as a network has them: many numbers that depend on few."""
    mixing = np.random.default_rng(97).standard_normal((latent.shape[1], COUNT))
    return (latent @ mixing + random.standard_normal((len(latent), COUNT))).astype(np.float32)


def drawn(each: int, noise: float = 1.0, labels: int = LABELS, seed: int = 0) -> tuple[Array, Array]:
    """Features of images, and the label of each."""
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(99).standard_normal((labels, 30))
    targets = np.repeat(np.arange(labels), each)
    return seen(centers[targets] + random.standard_normal((len(targets), 30)) * noise, random), targets


def several(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Images with any of three labels, or none."""
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(98).standard_normal((3, 30)) * 2
    targets = random.random((count, 3)) < (0.5, 0.4, 0.2)
    return seen(targets @ centers + random.standard_normal((count, 30)), random), targets


@pytest.mark.parametrize("rows", [5, 30, 60])
def test_the_covariance_is_inverted_whether_rows_or_dimensions_are_more(rows: int) -> None:
    random = np.random.default_rng(rows)
    given = random.standard_normal((rows, 30)) * random.random(30)
    given -= given.mean(axis=0)
    columns = random.standard_normal((30, 3))
    made = Covariance.of(given, 30)
    whole = made.share * given.T @ given + made.ridge * np.eye(30)
    assert np.allclose(made.solve(columns), np.linalg.inv(whole) @ columns)
    plain = given.T @ given / rows
    shrinkage = 1 - made.share * rows
    assert 0.01 <= shrinkage <= 1
    assert made.ridge == pytest.approx(shrinkage * np.trace(plain) / 30)
    deviations = [np.square(np.outer(row, row) - plain).sum() for row in given]
    apart = np.square(plain - np.trace(plain) / 30 * np.eye(30)).sum()
    assert shrinkage == pytest.approx(min(1, sum(deviations) / rows**2 / apart))


def test_classes_are_told_apart_as_fisher_says() -> None:
    """The logarithm of the ratio of two Gaussian densities, of the same covariance."""
    features, targets = drawn(8)
    fitted = classifier.fit(features, targets, temperature=5.0)
    scaled = fitted.scaling.apply(features)
    means = np.stack([scaled[targets == label].mean(axis=0) for label in range(LABELS)])
    made = Covariance.of(scaled - means[targets], COUNT)
    apart = made.solve((means[1] - means[0])[:, None])[:, 0]
    expected = (scaled - (means[0] + means[1]) / 2) @ apart
    found = np.log(fitted.probabilities(features))
    assert np.allclose((found[:, 1] - found[:, 0]) * 5.0, expected, atol=1e-6)


def test_one_of_two_labels_is_told_from_the_rest_as_classes_are() -> None:
    """Where labels exclude each other, both ways know the same, but for how far the covariance is shrunk."""
    features, targets = drawn(200, labels=2)
    exclusive = classifier.fit(features, targets, temperature=200.0)
    single = classifier.fit(features, np.eye(2, dtype=bool)[targets], temperature=200.0)
    one, other = (np.log(each.probabilities(features)[:, 1]) for each in (exclusive, single))
    assert np.corrcoef(one, other)[0, 1] > 0.99
    assert (exclusive.probabilities(features).argmax(axis=1) == targets).all()
    assert ((single.probabilities(features) > 0.5) == np.eye(2, dtype=bool)[targets]).all()


def test_scaling_is_of_all_images_in_any_portions() -> None:
    features, _ = drawn(20)
    features[:, 3] = 7.0  # the same in all
    moments = Moments()
    for start in range(0, len(features), 7):
        moments.add(features[start : start + 7])
    scaling = moments.scaling()
    assert scaling.mean == pytest.approx(features.mean(axis=0, dtype=np.float64))
    assert np.delete(scaling.deviation, 3) == pytest.approx(np.delete(features.std(axis=0, dtype=np.float64), 3))
    scaled = scaling.apply(features)
    assert np.isfinite(scaled).all()
    assert np.linalg.norm(scaled[:, :LAST], axis=1) == pytest.approx(1)
    assert np.linalg.norm(scaled[:, LAST:], axis=1) == pytest.approx(1)
    assert np.isfinite(Moments().scaling().apply(features)).all()


def test_probabilities_of_what_excludes_each_other_add_up_to_1() -> None:
    features, targets = drawn(10)
    found = classifier.fit(features, targets, count=LABELS + 1).probabilities(features * 1e4)
    assert found.shape == (len(features), LABELS + 1)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found[:, LABELS] == 0).all(), "a label without images is not suggested"


def test_an_evaluation_foretells_how_good_the_classifier_is() -> None:
    features, targets = drawn(30, noise=2.5)
    evaluated = evaluation.evaluate(features, targets)
    fitted = classifier.fit(features, targets, temperature=evaluated.temperature)
    others, known = drawn(500, noise=2.5, seed=1)
    found = fitted.probabilities(others)
    right = found.argmax(axis=1) == known
    assert 0.5 < evaluated.accuracy < 1
    assert evaluated.accuracy == pytest.approx(right.mean(), abs=0.1)
    assert right.mean() - 0.2 < found.max(axis=1).mean() < right.mean() + 0.05, "it is as sure as it may be"
    untamed = classifier.fit(features, targets).probabilities(others)
    assert untamed.max(axis=1).mean() > right.mean() + 0.1, "and without a temperature it is not"


def test_an_evaluation_adds_up() -> None:
    features, targets = drawn(12, noise=2.5)
    evaluated = evaluation.evaluate(features, targets, count=LABELS + 1)
    assert evaluated.confusion is not None
    table = np.array(evaluated.confusion)
    assert evaluated.sample_count == table.sum() == 12 * LABELS
    assert evaluated.accuracy == np.trace(table) / table.sum()
    for label, each in enumerate(evaluated.labels):
        assert each.support == table[label].sum() == (12 if label < LABELS else 0)
        assert each.recall == (table[label, label] / table[label].sum() if label < LABELS else None)
        got = table[:, label].sum()
        assert each.precision == (table[label, label] / got if got else None)
    assert evaluated.probabilities.argmax(axis=1).tolist() == [
        best for row in evaluated.probabilities.tolist() for best in [row.index(max(row))]
    ]
    sure = evaluated.probabilities.max(axis=1)
    for threshold in evaluated.thresholds:
        above = sure >= threshold.confidence
        assert threshold.share == pytest.approx(above.mean())
        if above.any():
            assert threshold.precision == (evaluated.probabilities.argmax(axis=1) == targets)[above].mean()
        else:
            assert threshold.precision is None
    assert evaluation.evaluate(features, targets, count=LABELS + 1) == evaluated, "the same each time"


def test_nobody_is_certain_after_a_few_images() -> None:
    features, targets = drawn(5, noise=0.1)
    evaluated = evaluation.evaluate(features, targets)
    fitted = classifier.fit(features, targets, temperature=evaluated.temperature)
    assert evaluated.accuracy == 1
    assert 0.8 < fitted.probabilities(features).max() < 0.99


def test_an_evaluation_is_in_few_dimensions_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = drawn(20, noise=2.5)
    few = evaluation.evaluate(features, targets)
    monkeypatch.setattr(evaluation, "_coordinates", lambda scaled: scaled)
    whole = evaluation.evaluate(features, targets)
    assert np.allclose(few.probabilities, whole.probabilities, atol=1e-4)


def test_each_part_has_its_share_of_each_label() -> None:
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(7), (5, 6, 9, 10, 11, 23, 40)))
    parts = evaluation._parts(targets)
    for label in range(7):
        counts = np.bincount(parts[targets == label], minlength=evaluation.FOLDS)
        assert counts.max() - counts.min() <= 1
    _, marked = several(200)
    for label in range(3):
        counts = np.bincount(evaluation._parts(marked)[marked[:, label]], minlength=evaluation.FOLDS)
        assert counts.min() > 0


def test_several_labels_of_an_image_are_found_one_by_one() -> None:
    features, targets = several(300)
    evaluated = evaluation.evaluate(features, targets)
    others, known = several(300, seed=1)
    found = classifier.fit(features, targets, temperature=evaluated.temperature).probabilities(others)
    assert evaluated.confusion is None
    assert evaluated.accuracy == pytest.approx(((found >= 0.5) == known).all(axis=1).mean(), abs=0.1)
    assert [each.support for each in evaluated.labels] == targets.sum(axis=0).tolist()
    assert all((each.precision or 0) > 0.7 and (each.recall or 0) > 0.7 for each in evaluated.labels)
    best = evaluated.thresholds[-3]
    assert best.confidence == 0.9
    assert (best.precision or 0) > 0.95


def test_a_label_that_all_images_or_none_have_does_no_harm() -> None:
    features, targets = several(60)
    targets = np.column_stack([targets, np.ones(60, bool), np.zeros(60, bool)])
    evaluated: Evaluation = evaluation.evaluate(features, targets)
    assert np.isfinite(evaluated.probabilities).all()
    assert evaluated.probabilities[:, 3].min() > 0.9
    assert evaluated.probabilities[:, 4].max() < 0.1


def test_labels_of_images_are_numbers_or_marks() -> None:
    assert of_one([[2], [0]]).tolist() == [2, 0]
    assert of_several([[2, 0], [], [1]], 3).tolist() == [[True, False, True], [False] * 3, [False, True, False]]
    assert of_several([], 3).shape == (0, 3)


def test_matrices_are_on_one_thread_whoever_imports_numpy_first() -> None:
    """Two threads that wait for each other take many times as long, where anything else runs."""
    program = """
        import api.__main__
        import numpy, psutil
        before = psutil.Process().num_threads()
        numpy.ones((500, 500)) @ numpy.ones((500, 500))
        print(before, psutil.Process().num_threads())
    """
    command = [sys.executable, "-P", "-c", textwrap.dedent(program)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "4", "VECLIB_MAXIMUM_THREADS": "4"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "1"]
