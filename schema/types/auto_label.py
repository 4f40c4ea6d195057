"""Auto labelling jobs, and what came of them."""

import strawberry

from schema.job_enums import AutoLabelModelKind, JobNeed
from schema.types.job import Job, JobWarning
from schema.types.label import Label
from schema.types.model import Model
from schema.types.node import Node
from schema.types.pagination import connection_of


@strawberry.type(description="A label that a model does not suggest, because too few samples have it.")
class LeftOutLabel:
    name: str = strawberry.field(description="Name of the label when the job began.")
    label: Label | None = strawberry.field(description="The label as it is now. Null if it was deleted.")
    sample_count: int = strawberry.field(
        description="Number of labelled samples that had it when the job began: fewer than 5."
    )


@strawberry.type(
    description="How well a model knows a label, found on labelled samples. Where the model finds shapes, these are "
    "counted instead of samples."
)
class LabelEvaluation:
    name: str = strawberry.field(description="Name of the label when the job began.")
    label: Label | None = strawberry.field(description="The label as it is now. Null if it was deleted.")
    precision: float | None = strawberry.field(
        description="Of the samples that the model gives this label, the fraction that people gave it, too. Null if "
        "the model gives it none."
    )
    recall: float | None = strawberry.field(
        description="Of the samples that people gave this label, the fraction that the model gives it, too. Null if "
        "there is none."
    )
    support: int = strawberry.field(description="Number of evaluated samples that people gave this label.")


@strawberry.type(
    description="How many evaluated samples, or shapes on them, with one label a model took for another, or for the "
    "same."
)
class ConfusionCount:
    actual: str = strawberry.field(description="Name of the label that people gave, when the job began.")
    predicted: str = strawberry.field(description="Name of the label that the model gives.")
    count: int = strawberry.field(description="Number of samples, or of shapes.")


@strawberry.type(description="What suggestions with at least a confidence are like, found on the evaluated samples.")
class ThresholdEvaluation:
    min_confidence: float = strawberry.field(description="The least confidence of a suggestion.")
    share: float = strawberry.field(description="Fraction of the samples that get a suggestion.")
    precision: float | None = strawberry.field(
        description="Fraction of the suggestions that people made, too. Null if there are none."
    )


@strawberry.type(
    description="How well a model agrees with people. The built-in model is evaluated by cross-validation: the "
    "labelled samples are divided into parts, and each part is predicted by a model that learned from the others. Any "
    "other model is asked about labelled samples drawn at random, at most 200, before it suggests anything. If it "
    "finds shapes, one is right where people drew one with the same label and the boxes around the two overlap by at "
    "least half of what both cover; else labels of whole images are compared."
)
class AutoLabelEvaluation:
    accuracy: float = strawberry.field(
        description="Fraction of the evaluated samples of which the model's labels are those of people, whatever its "
        "confidence. Where samples have several labels or shapes, what the model says with at least 0.5 counts, or "
        "with `minConfidence` if that is less."
    )
    sample_count: int = strawberry.field(description="Number of evaluated samples.")
    labels: list[LabelEvaluation] = strawberry.field(
        description="Each label that the built-in model can suggest. For other models, each that evaluated samples "
        "have or the model gave."
    )
    confusion: list[ConfusionCount] = strawberry.field(
        description="Which labels the model takes for which, largest number first, at most 1,000. Without pairs that "
        "never occur. Empty if samples of the dataset have several labels, unless the model finds shapes: then "
        "of those that overlap."
    )
    thresholds: list[ThresholdEvaluation] = strawberry.field(
        description="What suggestions with at least 0.5, 0.6, 0.7, 0.8, 0.9, 0.95 and 0.99 are like, for choosing "
        "`minConfidence`, and from which confidence on to accept them."
    )


@strawberry.type(
    description="A job by which a model suggests annotations. Suggestions are made batch by batch, each as a change; "
    "`undoChange` with `jobId` undoes all of them. What people confirmed is never touched, and nothing else is marked: "
    "`suggestions: {disagreesWithLabels: true}` lists the samples where the model and people disagree, by "
    "SUGGESTION_CONFIDENCE those first where it is sure."
)
class AutoLabelJob(Job, Node):
    model_kind: AutoLabelModelKind = strawberry.field(description="What kind of model suggests.")
    model: Model | None = strawberry.field(
        description="The model and version that the suggestions are of. Null until the first is made, and if the model "
        "never suggested anything."
    )
    min_confidence: float = strawberry.field(description="The least confidence of a suggestion.")
    sample_count: int = strawberry.field(description="Number of selected samples. 0 until the job has begun.")
    read_count: int = strawberry.field(
        description="Number of images that the model has looked at so far. What the built-in model makes of an image "
        "is kept: in the next job no image is read again."
    )
    suggested_count: int = strawberry.field(
        description="Number of suggestions so far, including those that the same version had made before."
    )
    suggested_sample_count: int = strawberry.field(
        description="Number of samples so far of which the model is sure enough to suggest something, also if people "
        "have decided about that already."
    )
    kept_count: int = strawberry.field(
        description="Number of annotations so far that the model would suggest and people have confirmed already."
    )
    rejected_before_count: int = strawberry.field(
        description="Number of suggestions so far that are not made because they were rejected before, of the same "
        "version of the model."
    )
    skipped_count: int = strawberry.field(
        description="Number of samples so far that the model could not be asked about, or did not answer about as it "
        "should. Each has a warning."
    )
    evaluation: AutoLabelEvaluation | None = strawberry.field(
        description="How well the model knows the labels, available before its first suggestion. Null until then, and "
        "for a model other than the built-in one if no sample is labelled."
    )
    left_out_labels: list[LeftOutLabel] = strawberry.field(
        description="Labels that the built-in model does not suggest, because fewer than 5 labelled samples have them."
    )
    waits_for: JobNeed | None = strawberry.field(
        description="What the queued job waits for, besides its turn. Null if nothing else is missing, and for a job "
        "that is not queued."
    )

    warnings = connection_of(
        JobWarning,
        "Samples that the model was not asked about, or did not answer about as it should, in the order they were "
        "found, at most 10,000; and labels that the model suggests and the dataset does not have, one warning for "
        "each.",
    )
