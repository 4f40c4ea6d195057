"""The bytes of samples' images, as many at a time as fit into memory."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.errors import Invalid, StorageError
from db.exports.images import Images, Missing
from db.storage import Stores

GONE = "The file no longer exists."


@dataclass(frozen=True, slots=True)
class ImageBytes:
    images: Images

    async def parts(self, samples: Sequence[JobSample]) -> AsyncGenerator[list[tuple[JobSample, bytes | str]], None]:
        """Each sample with its bytes, or with a sentence that says why there are none. Raises StorageError."""
        if gone := [each for each in samples if not each.is_present]:
            yield [(sample, GONE) for sample in gone]
        for part in self.images.divided([each for each in samples if each.is_present]):
            data = await self.images.read(part, [True] * len(part))
            why = dict(self.images.warnings)
            self.images.warnings.clear()
            yield [
                (sample, why.get(sample.path, GONE) if bytes_ is None else bytes_)
                for sample, bytes_ in zip(part, data, strict=True)
            ]


def open_images(dataset: LabelledDataset, stores: Stores) -> ImageBytes:
    """Raises StorageError where the input path is not allowed any more."""
    try:
        return ImageBytes(Images(stores.open(dataset.input_path), Missing()))
    except Invalid as error:
        raise StorageError("The server's owner does not allow the input path.") from error
