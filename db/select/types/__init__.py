"""The readable types, one module each: what their fields are in SQL."""

from collections.abc import Mapping

from db.select.build import Type
from db.select.types.annotation import ANNOTATION
from db.select.types.change import CHANGE
from db.select.types.comparison import SAMPLE_CHANGE
from db.select.types.dataset import DATASET
from db.select.types.job import IGNORED_FILES, IMPORT_JOB, MANIFEST_JOB, SYNC_JOB, SYNC_WARNING
from db.select.types.label import LABEL
from db.select.types.sample import SAMPLE
from db.select.types.version import VERSION

TYPES: Mapping[str, Type] = {
    each.name: each
    for each in (
        *(DATASET, LABEL, SAMPLE, ANNOTATION, VERSION, SAMPLE_CHANGE, CHANGE),
        *(SYNC_JOB, IMPORT_JOB, MANIFEST_JOB, SYNC_WARNING, IGNORED_FILES),
    )
}
