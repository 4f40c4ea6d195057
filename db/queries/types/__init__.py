"""The readable types, one module each: what their fields are in SQL."""

from collections.abc import Mapping

from db.queries.compile_context import Type
from db.queries.types.annotation import ANNOTATION
from db.queries.types.change import CHANGE
from db.queries.types.comparison import SAMPLE_CHANGE
from db.queries.types.dataset import DATASET
from db.queries.types.job import IGNORED_FILES, IMPORT_JOB, MANIFEST_JOB, SYNC_JOB, SYNC_WARNING
from db.queries.types.label import LABEL
from db.queries.types.sample import SAMPLE
from db.queries.types.version import VERSION

TYPES: Mapping[str, Type] = {
    each.name: each
    for each in (
        *(DATASET, LABEL, SAMPLE, ANNOTATION, VERSION, SAMPLE_CHANGE, CHANGE),
        *(SYNC_JOB, IMPORT_JOB, MANIFEST_JOB, SYNC_WARNING, IGNORED_FILES),
    )
}
