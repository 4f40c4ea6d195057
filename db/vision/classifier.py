"""A classifier of features, fitted in less than a second: linear discriminant analysis whose covariance is shrunk.

With few images and many numbers of each, a covariance cannot be estimated: it is drawn towards a multiple of the
identity, as far as Ledoit and Wolf say. For several labels an image, each label is distinguished from the rest, with
the covariance of all images. How sure the discriminants are is not to be believed: they are divided by a temperature,
which `db.vision.evaluation` finds.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from db.vision import LAST
from db.vision.arrays import Array
from db.vision.features import COUNT

PARTS: Final = (slice(0, LAST), slice(LAST, COUNT))
LEAST_SHRINKAGE: Final = 0.01
LEAST_WITHIN: Final = 1e-3  # the share of a direction's variance that is within the two classes of a label, at least
TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Scaling:
    """What makes features comparable: their means and deviations among all images of a dataset, or many of them."""

    mean: Array
    deviation: Array

    def apply(self, features: Array) -> Array:
        """Standardised, and each of the network's two parts of length 1."""
        standard = (features - self.mean) / self.deviation
        for part in PARTS:
            standard[:, part] /= np.maximum(np.linalg.norm(standard[:, part], axis=1, keepdims=True), TINY)
        return standard


@dataclass(slots=True)
class Moments:
    """Gathers the scaling of features that come in portions."""

    count: int = 0
    total: Array = field(default_factory=lambda: np.zeros(COUNT))
    squares: Array = field(default_factory=lambda: np.zeros(COUNT))

    def add(self, features: Array) -> None:
        exact = features.astype(np.float64)
        self.count += len(exact)
        self.total += exact.sum(axis=0)
        self.squares += np.square(exact).sum(axis=0)

    def scaling(self) -> Scaling:
        count = max(self.count, 1)
        mean = self.total / count
        variance = np.maximum(self.squares / count - np.square(mean), 0.0)
        return Scaling(mean, np.where(variance > TINY, np.sqrt(variance), 1.0))


@dataclass(frozen=True, slots=True)
class Discriminants:
    """One for each label: a direction, and an offset, which knows how frequent the label is. It is infinite for a label
    that no image has, or all."""

    weights: Array
    offsets: Array
    is_exclusive: bool

    def scores(self, scaled: Array) -> Array:
        found: Array = scaled @ self.weights + self.offsets
        return found

    def logarithms(self, logits: Array) -> Array:
        """Of how likely each label is."""
        if not self.is_exclusive:
            return -np.logaddexp(0.0, -logits)
        found: Array = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return found

    def probabilities(self, scores: Array, temperature: float) -> Array:
        """Of labels that exclude each other they add up to 1."""
        found: Array = np.exp(self.logarithms(scores / temperature))
        return found


@dataclass(frozen=True, slots=True)
class Classifier:
    scaling: Scaling
    discriminants: Discriminants
    temperature: float

    def probabilities(self, features: Array) -> Array:
        """How likely each label is on each image: a row for an image, a column for a label."""
        scores = self.discriminants.scores(self.scaling.apply(features))
        return self.discriminants.probabilities(scores, self.temperature)


def fit(
    features: Array,
    targets: Array,
    *,
    count: int | None = None,
    scaling: Scaling | None = None,
    temperature: float = 1.0,
) -> Classifier:
    """Of images whose labels are known. `targets`: the number of each image's one label, from 0 on, of `count` labels;
    or a row of booleans for each image, one for each label. `scaling`: that of more images than these. `temperature`:
    as `evaluate` found it for the same images."""
    if scaling is None:
        moments = Moments()
        moments.add(features)
        scaling = moments.scaling()
    return Classifier(scaling, discriminants(scaling.apply(features), targets, count), temperature)


def label_count(targets: Array, count: int | None = None) -> int:
    if targets.ndim == 2:
        return int(targets.shape[1])
    return int(targets.max()) + 1 if count is None else count


def discriminants(
    scaled: Array, targets: Array, count: int | None = None, *, dimensions: int | None = None
) -> Discriminants:
    """`dimensions`: those of the space that `scaled` was projected from."""
    labels = label_count(targets, count)
    if targets.ndim == 1:
        return _of_classes(scaled, targets, labels, dimensions or scaled.shape[1])
    return _of_labels(scaled, targets.astype(np.float64), dimensions or scaled.shape[1])


def _of_classes(scaled: Array, targets: Array, labels: int, dimensions: int) -> Discriminants:
    members = np.eye(labels)[targets]  # 1 where an image, a row, is of a class, a column
    sizes = members.sum(axis=0)
    means = (members.T @ scaled) / np.maximum(sizes, 1)[:, None]
    center = scaled.mean(axis=0)
    weights = Covariance.of(scaled - means[targets], dimensions).solve((means - center).T)
    offsets = -((means + center) / 2 * weights.T).sum(axis=1)
    priors = np.log((sizes + 1) / (len(scaled) + len(sizes)))
    return Discriminants(weights, np.where(sizes > 0, offsets + priors, -np.inf), is_exclusive=True)


def _of_labels(scaled: Array, members: Array, dimensions: int) -> Discriminants:
    """Each label's direction is solved with the covariance of all images, which differs from that within the two
    classes by one outer product: that scales the direction (Sherman and Morrison)."""
    sizes, others = members.sum(axis=0), (1 - members).sum(axis=0)
    means = (members.T @ scaled) / np.maximum(sizes, 1)[:, None]
    rest = ((1 - members).T @ scaled) / np.maximum(others, 1)[:, None]
    apart = (means - rest).T
    weights = Covariance.of(scaled - scaled.mean(axis=0), dimensions).solve(apart)
    between = sizes * others / len(scaled) ** 2 * (apart * weights).sum(axis=0)
    weights = weights / np.maximum(1 - between, LEAST_WITHIN)
    offsets = -((means + rest) / 2 * weights.T).sum(axis=1)
    offsets = np.where(sizes > 0, offsets + np.log((sizes + 1) / (others + 1)), -np.inf)
    return Discriminants(weights, np.where(others > 0, offsets, np.inf), is_exclusive=False)


@dataclass(frozen=True, slots=True)
class Covariance:
    """Of rows whose mean is 0: `share` of the sum of their outer products, and `ridge` times the identity. `products`:
    of the rows with each other, or where there are more rows than columns, of the columns."""

    rows: Array
    products: Array
    share: float
    ridge: float

    @classmethod
    def of(cls, rows: Array, dimensions: int) -> "Covariance":
        """As Ledoit and Wolf shrink it (2004)."""
        count = len(rows)
        lengths = np.square(rows).sum(axis=1)
        products = rows @ rows.T if count < rows.shape[1] else rows.T @ rows
        average, norm = lengths.sum() / count / dimensions, np.square(products / count).sum()
        apart = norm / dimensions - average**2
        noise = (np.square(lengths).sum() / count - norm) / count / dimensions
        shrinkage = min(1.0, max(LEAST_SHRINKAGE, noise / apart if apart > 0 else 1.0))
        return cls(rows, products, (1 - shrinkage) / count, max(shrinkage * float(average), TINY))

    def solve(self, columns: Array) -> Array:
        """The inverse, times these columns. With fewer rows than columns by Woodbury's formula."""
        inner = self.share * self.products + self.ridge * np.eye(len(self.products))
        found: Array
        if len(self.rows) >= self.rows.shape[1]:
            found = np.linalg.solve(inner, columns)
        else:
            found = columns - self.share * (self.rows.T @ np.linalg.solve(inner, self.rows @ columns))
            found /= self.ridge
        return found
