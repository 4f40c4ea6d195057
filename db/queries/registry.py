"""Every readable type, by name."""

from collections.abc import Mapping

from db.queries import roots
from db.queries.compile_context import ObjectType
from db.queries.connections import DISTANCE, PAGE_INFO, connection_types
from db.queries.types import (
    annotation,
    auto_label,
    change,
    comparison,
    dataset,
    delete_impact,
    duplicates,
    embedding_model,
    facets,
    job,
    label,
    model,
    sample,
    version,
)

CONNECTIONS = ("Dataset", "Version", "Job", "Change", "JobWarning", "SampleChange", "Model")

TYPES: Mapping[str, ObjectType] = {
    type_.name: type_
    for type_ in (
        *(roots.QUERY, roots.VIEWER, roots.SERVER_INFO, roots.UPLOAD_LIMITS),
        *(
            dataset.DATASET,
            dataset.DATASET_PERMISSIONS,
            delete_impact.DELETE_IMPACT,
            label.LABEL,
            sample.SAMPLE,
            sample.SIMILAR_SAMPLE,
            embedding_model.EMBEDDING_MODEL,
            change.CHANGE,
        ),
        *(annotation.ANNOTATION, *annotation.SHAPES),
        *(version.VERSION, version.STATISTICS),
        *(model.MODEL, model.MODEL_LABEL),
        *(comparison.COMPARISON, comparison.LABEL_CHANGE, comparison.SAMPLE_CHANGE),
        *(job.SYNC_JOB, job.IMPORT_JOB, job.MANIFEST_JOB, job.JOB_ERROR, job.JOB_WARNING, job.IGNORED_FILES),
        *(job.EXPORT_JOB, job.EXPORT_FILE, job.EXPORT_SUMMARY),
        *(job.SYNC_EXAMPLES, job.IMPORTED_LABEL, job.IMPORT_NOTICE, job.LARGE_CHANGE_JOB),
        *auto_label.AUTO_LABEL_TYPES,
        *facets.FACET_TYPES,
        *duplicates.DUPLICATE_TYPES,
        PAGE_INFO,
        *connection_types("Sample", {"facets": facets.FACETS}, {"distance": DISTANCE}),
        *(type_ for item in CONNECTIONS for type_ in connection_types(item)),
    )
}
