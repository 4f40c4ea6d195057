"""Which model is to suggest."""

from dataclasses import dataclass
from typing import Final, Literal

from db.auto_labelling.allowed import AllowedModels
from db.errors import Invalid
from db.formats.names import UNNAMEABLE, nfc
from db.labelling.suggestions.models import LENGTH, ModelName

Protocol = Literal["LABEL_STUDIO", "LABELGRAPH"]
MAX_CONFIG: Final = 100_000  # characters of a labelling configuration
BUILT_IN_NAME: Final = "builtin"
FIRST_VERSION: Final = "1"  # of a model that says none
MAX_VERSION: Final = 1_000  # characters of what a model says of its version, of which the first that fit are kept


@dataclass(frozen=True, slots=True)
class BuiltInModel:
    """The server's own, which learns from the labelled samples of the dataset."""


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A file below one of the folders for models."""

    path: str


@dataclass(frozen=True, slots=True)
class HttpModel:
    """A model behind HTTP. `name`: what its suggestions are called by; None: its host and port. `label_config`: for
    Label Studio's protocol, instead of one made of the dataset's labels."""

    url: str
    protocol: Protocol = "LABEL_STUDIO"
    name: str | None = None
    label_config: str | None = None


AnyModel = BuiltInModel | OnnxModel | HttpModel
KINDS: Final[dict[type[AnyModel], str]] = {BuiltInModel: "BUILT_IN", OnnxModel: "ONNX", HttpModel: "HTTP"}


async def expect_allowed(model: AnyModel, allowed: AllowedModels) -> None:
    """Raises Invalid where a model is not allowed; StorageError where the disk does not answer. A disk may take long:
    not to be called in a transaction."""
    match model:
        case OnnxModel():
            await allowed.file(model.path)
        case HttpModel():
            allowed.address(model.url)
            if model.name is not None:
                ModelName(model.name, FIRST_VERSION).checked()
            if model.label_config is not None and not 0 < len(model.label_config) <= MAX_CONFIG:
                length = len(model.label_config)
                message = f"`labelConfig` must have 1 to {MAX_CONFIG:,} characters, and has {length:,}."
                raise Invalid(message, path="model.http.labelConfig")
            if model.label_config is not None and model.protocol != "LABEL_STUDIO":
                raise Invalid("`labelConfig` is for the protocol LABEL_STUDIO.", path="model.http.labelConfig")


def expect_fit(model: AnyModel, kind: str) -> None:
    """Raises Invalid where a model cannot suggest in a dataset of this type."""
    if isinstance(model, BuiltInModel) and kind != "IMAGE_CLASSIFICATION":
        message = (
            "The built-in model labels whole images, for datasets of the type IMAGE_CLASSIFICATION. Use a model of "
            "your own for shapes."
        )
        raise Invalid(message, path="model.builtIn")


def as_version(value: object) -> str | None:
    """What a model says of its version, as it can be stored."""
    text = str(value) if type(value) in (str, int, float) else ""
    start = text[:MAX_VERSION].strip()
    return UNNAMEABLE.sub("", nfc(start))[:LENGTH].strip() or None
