"""The mutations: inputs, payloads, and resolvers that open a transaction, call one function and wrap its outcome."""

import strawberry

from schema.mutations.annotations import AnnotationMutations
from schema.mutations.changes import ChangeMutations
from schema.mutations.datasets import DatasetMutations
from schema.mutations.imports import ImportMutations
from schema.mutations.labels import LabelMutations
from schema.mutations.samples import SampleMutations
from schema.mutations.staged_uploads import StagedUploadMutations
from schema.mutations.sync import SyncMutations
from schema.mutations.uploads import UploadMutations
from schema.mutations.versions import VersionMutations

__all__ = ["Mutation"]


@strawberry.type(
    description="Everything that changes something. Each mutation is one transaction: refused, it changes nothing; "
    "what is already so is left so, and the payload says it. With an `Idempotency-Key` header, or `extensions."
    "idempotencyKey`, a request may be sent again for 24 hours and is carried out once."
)
class Mutation(
    DatasetMutations,
    LabelMutations,
    SampleMutations,
    AnnotationMutations,
    SyncMutations,
    ImportMutations,
    UploadMutations,
    StagedUploadMutations,
    VersionMutations,
    ChangeMutations,
):
    pass
