"""The mutations: inputs, payloads, and resolvers that open a transaction, call one function and wrap its outcome."""

from strawberry.tools import create_type

from schema.mutations.annotations import annotate_samples
from schema.mutations.auto_labelling import start_auto_labeling
from schema.mutations.changes import undo_change
from schema.mutations.datasets import create_dataset, delete_dataset, update_dataset
from schema.mutations.embeddings import delete_embeddings, put_embeddings
from schema.mutations.exports import export_dataset
from schema.mutations.jobs import cancel_job, import_annotations, import_manifest, sync_dataset
from schema.mutations.labels import create_labels, delete_labels, rename_label, update_label
from schema.mutations.samples import delete_samples, label_samples, replace_sample_label, update_samples
from schema.mutations.suggestions import decide_suggestions, suggest_annotations
from schema.mutations.uploads import (
    cancel_uploads,
    complete_uploads,
    request_import_upload,
    request_uploads,
    upload_samples,
)
from schema.mutations.versions import delete_version, publish_version, set_current_version, write_manifest

Mutation = create_type(
    "Mutation",
    [
        *(create_dataset, update_dataset, delete_dataset),
        *(create_labels, update_label, rename_label, delete_labels),
        *(label_samples, replace_sample_label, update_samples, delete_samples, annotate_samples),
        *(suggest_annotations, decide_suggestions),
        *(sync_dataset, cancel_job, import_annotations, import_manifest, export_dataset),
        *(put_embeddings, delete_embeddings),
        start_auto_labeling,
        *(upload_samples, request_uploads, complete_uploads, cancel_uploads, request_import_upload),
        *(publish_version, set_current_version, delete_version, write_manifest),
        undo_change,
    ],
    description="All write operations. Each mutation is one transaction: if it is refused, nothing changes. What is "
    "already in the requested state stays unchanged, and the payload says so. With an `Idempotency-Key` header, or "
    "`extensions.idempotencyKey`, a request can be repeated for 24 hours and takes effect once.",
)
