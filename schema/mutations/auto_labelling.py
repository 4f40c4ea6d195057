"""startAutoLabeling."""

from collections.abc import Mapping
from typing import Any, cast

import strawberry

from db.auto_labelling import requests
from db.auto_labelling.models import AnyModel, BuiltInModel, HttpModel, OnnxModel, expect_allowed
from db.errors import Invalid
from db.labelling.samples.selection import Selection
from db.queries.filters import SampleFilter
from db.queries.paths import PathFilter
from schema.enums import enum_name
from schema.inputs.filters import SampleSelectionInput
from schema.job_enums import HttpModelProtocol
from schema.mutations.resolver import LABEL_IDS, Info, global_id, is_done, number, only_labels, write
from schema.mutations.samples import selection
from schema.references import reference
from schema.types.auto_label import AutoLabelJob


@strawberry.input(description="A model in an ONNX file.")
class OnnxModelInput:
    path: str = strawberry.field(
        description="Path of the `.onnx` file below one of the folders in the server's setting `LABELGRAPH_MODELS`, "
        "relative or absolute. A `.json` file of the same name next to it says what the model takes and gives."
    )


@strawberry.input(description="A model that a server of its own runs.")
class HttpModelInput:
    url: str = strawberry.field(
        description="URL of the model, whose host and port are in the server's setting `LABELGRAPH_MODEL_HOSTS`. The "
        "server sends it signed URLs of images, which work for a quarter of an hour or a little more."
    )
    protocol: HttpModelProtocol = strawberry.field(
        default=HttpModelProtocol.LABEL_STUDIO, description="The protocol that the model speaks."
    )
    name: str | None = strawberry.field(
        default=None,
        description="Name of the model among those of the dataset. Null: its host and port. The version is the one "
        "that the model says.",
    )
    label_config: str | None = strawberry.field(
        default=None,
        description="For LABEL_STUDIO, the labelling configuration (XML) that is sent to the model. Null: one made of "
        "the dataset's labels.",
    )


@strawberry.input(one_of=True, description="The model that suggests. Exactly one field must be given.")
class AutoLabelModelInput:
    built_in: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="The model of the server, for image classification. It learns from the labelled samples of the "
        "dataset: from at least 2 labels, each of 5 samples or more. Must be true. It needs a worker with the vision "
        "packages.",
    )
    onnx: OnnxModelInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="A model in an ONNX file. It needs a worker with the vision packages.",
    )
    http: HttpModelInput | None = strawberry.field(
        default=strawberry.UNSET, description="A model that a server of its own runs."
    )


@strawberry.input(description="The dataset, the model, and which samples and labels to suggest for.")
class StartAutoLabelingInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    model: AutoLabelModelInput = strawberry.field(description="The model that suggests.")
    select: SampleSelectionInput | None = strawberry.field(
        default=None,
        description="The samples to suggest for. Null: all without a confirmed annotation. For labelled samples, the "
        "model suggests where it disagrees with people.",
    )
    min_confidence: float = strawberry.field(
        default=0.9,
        description="The least confidence of a suggestion, 0–1. With 0, the model suggests for every sample, so that "
        "samples can be ordered by how sure it is.",
    )
    labels: list[str] | None = strawberry.field(
        default=None,
        description="Names of the only labels to suggest. Without these and `labelIds`: all. The built-in model learns "
        "all labels in any case.",
    )
    label_ids: list[strawberry.ID] | None = strawberry.field(default=None, description=LABEL_IDS)
    limit: int | None = strawberry.field(
        default=None,
        description="Suggest for at most this many samples, those that were added first. Null: for all. 0: only "
        "evaluate the model, by labelled samples.",
    )


@strawberry.type(description="Return type of `startAutoLabeling`.")
class StartAutoLabelingPayload:
    job: AutoLabelJob = strawberry.field(description="The auto labelling, queued. Follow it with `jobProgress`.")


@strawberry.mutation(
    description="Starts a job by which a model suggests annotations, for people to decide about with "
    "`decideSuggestions`. Suggestions replace earlier ones of the same model for the same samples; nothing that is "
    "confirmed is changed, and what was rejected is not suggested again by the same version of a model. Labelling can "
    "go on while it runs. It needs the scope MANAGE. Refused with VALIDATION_FAILED if the model does not fit the "
    "dataset, learns from too few "
    "labelled samples (`details.labels` has the number for each label) or is on a host that is not allowed, "
    "INVALID_PATH for a file that is not there or not allowed, LABEL_NOT_FOUND, EMPTY_SELECTION if no sample is "
    "selected, or with `limit: 0` none is labelled, or DATASET_BUSY while another auto labelling of the dataset is "
    "queued or running; `details.jobId` is that job. The job fails with MODEL_UNAVAILABLE if the model cannot be "
    "reached or loaded; suggestions that it made before are kept."
)
async def start_auto_labeling(info: Info, input: StartAutoLabelingInput) -> StartAutoLabelingPayload:
    context, id = info.context, number(input.dataset_id, "Dataset")
    select = cast(Mapping[str, Any] | None, input.select)
    asked = requests.Request(
        model=model_of(input.model),
        filter=None if select is None else filter_of(selection(info, select)),
        min_confidence=input.min_confidence,
        labels=only_labels(input.labels, input.label_ids),
        limit=input.limit,
        base=context.models.base or context.links.base,
    )
    if not await is_done(info, requests.StartedAutoLabeling):
        await expect_allowed(asked.model, context.models)
    outcome = await write(info, requests.request, id, asked, by=context.identity)
    return StartAutoLabelingPayload(job=reference("AutoLabelJob", outcome.job))


def model_of(input: AutoLabelModelInput) -> AnyModel:
    """Raises Invalid."""
    if input.onnx:
        return OnnxModel(input.onnx.path)
    if input.http:
        http = input.http
        return HttpModel(http.url, enum_name(http.protocol), http.name, http.label_config)
    if input.built_in is not True:
        raise Invalid("`model.builtIn` must be true; for another model, give `onnx` or `http`.", path="model.builtIn")
    return BuiltInModel()


def filter_of(selection: Selection) -> SampleFilter:
    """Raises EMPTY_SELECTION for an empty list: it would be no condition."""
    if selection.ids is not None:
        ids = [str(global_id("Sample", each)) for each in selection.ids]
        found = SampleFilter(ids=ids)
    elif selection.paths is not None:
        found = SampleFilter(path=PathFilter(in_=selection.paths))
    else:
        assert selection.filter is not None
        return selection.filter
    if not (selection.ids or selection.paths):
        raise Invalid("No samples are selected; give some ids or paths, or a filter.", code="EMPTY_SELECTION")
    return found
