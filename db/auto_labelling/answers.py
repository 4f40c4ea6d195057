"""What a model says of samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from db.auto_labelling.job_samples import JobSample
from db.auto_labelling.models import FIRST_VERSION
from db.formats.names import excerpt, is_storable
from db.formats.shapes import Shape
from db.jobs import LabelWarning
from db.labelling.labels import LabelReference

MAX_GUESSES: Final = 1_000  # of one sample: the surest
MAX_ANNOTATIONS: Final = 20_000  # in one change; and of a page, about
MAX_READ: Final = 5_000  # of what a model says of one sample: the first
MAX_PROBLEMS: Final = 20  # of one sample; how many more there are is said
MAX_PROBLEM: Final = 200  # characters of a sentence that cannot be stored as it is
MAX_LABEL: Final = 64  # characters of a name that a warning names


@dataclass(frozen=True, slots=True)
class Guess:
    """A label by its name, as the model calls it, or by its id."""

    label: LabelReference
    confidence: float
    shape: Shape | None = None

    def unknown(self, path: str) -> LabelWarning:
        """For a label that the dataset does not have."""
        name = str(self.label)
        name = name if is_storable(name) and len(name) <= MAX_LABEL else excerpt(name)
        message = f"The model suggests the label `{name}`, which the dataset does not have; it was left out."
        return LabelWarning(name, path, message)


@dataclass(frozen=True, slots=True)
class Answer:
    """`problems`: sentences about what was not understood. `is_answered`: the sample's suggestions are these, if only
    that there are none. `version`: of the model."""

    sample: JobSample
    guesses: Sequence[Guess] = ()
    problems: Sequence[str] = ()
    is_answered: bool = True
    version: str = FIRST_VERSION

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """Of the job: the path with each problem."""
        said = list(self.problems[:MAX_PROBLEMS])
        if len(self.problems) > MAX_PROBLEMS:
            said.append(f"{len(self.problems) - MAX_PROBLEMS:,} more problems of the model's answer are not listed.")
        stored = (each if is_storable(each) else excerpt(each, MAX_PROBLEM) for each in said)
        return [(self.sample.path, each) for each in stored]

    @classmethod
    def failed(cls, sample: JobSample, problem: str) -> "Answer":
        return cls(sample, problems=(problem,), is_answered=False)


def note_length(count: int, problems: list[str], *, what: str = "annotations", most: int = MAX_READ) -> None:
    """Add a problem where a model's answer about a sample has more items than are read."""
    if count > most:
        problems.append(f"The model's answer about it has {count:,} {what}; the first {most:,} were read.")


class SuggestingModel(Protocol):
    """`page`: samples that it is asked about at once. `read_count`: images that it has looked at."""

    @property
    def name(self) -> str: ...
    @property
    def page(self) -> int: ...
    @property
    def read_count(self) -> int: ...

    async def answers(self, samples: Sequence[JobSample], *, least: float) -> list[Answer]:
        """One for each sample. Guesses of a lower confidence than `least` need not be among them. Raises
        ModelUnavailable where it makes no sense to go on."""
