"""What a model says of samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from db.auto_labelling.job_samples import JobSample
from db.auto_labelling.models import FIRST_VERSION
from db.formats.shapes import Shape
from db.labelling.labels import LabelReference


@dataclass(frozen=True, slots=True)
class Guess:
    """A label by its name, as the model calls it, or by its id."""

    label: LabelReference
    confidence: float
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`problems`: sentences about what was not understood. `is_answered`: the sample's suggestions are these, if only
    that there are none. `version`: of the model."""

    sample: JobSample
    guesses: Sequence[Guess] = ()
    problems: Sequence[str] = ()
    is_answered: bool = True
    version: str = FIRST_VERSION

    @classmethod
    def failed(cls, sample: JobSample, problem: str) -> "Answer":
        return cls(sample, problems=(problem,), is_answered=False)


class SuggestingModel(Protocol):
    """`page`: samples that it is asked about at once. `read_count`: images that it has looked at."""

    @property
    def name(self) -> str: ...
    @property
    def page(self) -> int: ...
    @property
    def read_count(self) -> int: ...

    async def answers(self, samples: Sequence[JobSample]) -> list[Answer]:
        """One for each sample. Raises ModelUnavailable where it makes no sense to go on."""
