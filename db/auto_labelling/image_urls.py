"""Signed URLs of images, for a model behind HTTP: short-lived, and of the token that requested the job."""

import time
from dataclasses import dataclass
from typing import Final

from db.auto_labelling.job_samples import JobSample
from db.formats.images import SUFFIX_OF, is_shown
from db.identity.urls import Links, Signer

LIFETIME: Final = 900  # seconds for which a URL is valid, at least


@dataclass(frozen=True, slots=True)
class ImageUrls:
    """`base`: the URL of this server, as the model reaches it."""

    signer: Signer
    base: str
    token_id: int

    def shown(self, sample: JobSample) -> str:
        """Of the image as browsers show it, which may be a rendition."""
        suffix = SUFFIX_OF[sample.format] if sample.format is not None and _is_shown(sample) else ".jpg"
        return self._links().image(sample.source_id, suffix)

    def stored(self, sample: JobSample) -> str:
        """Of the file itself."""
        if _is_shown(sample) or sample.format is None:
            return self.shown(sample)
        return self._links().original(sample.source_id, SUFFIX_OF[sample.format])

    def _links(self) -> Links:
        return self.signer.links(self.base, self.token_id, time.time())


def _is_shown(sample: JobSample) -> bool:
    if sample.format is None:
        return True
    width, height = sample.raster.size if sample.raster is not None else (None, None)
    return is_shown(sample.format, width, height)
