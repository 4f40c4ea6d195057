"""Models, as clients name them."""

import strawberry

from db.labelling.suggestions.models import ModelName


@strawberry.input(description="A model of a dataset.")
class ModelInput:
    name: str = strawberry.field(
        description="Name of the model: 1–256 characters, none of them a control "
        "character, without white space at the ends."
    )
    model_version: str = strawberry.field(description="Version of the model, in the same characters.")


def model_name(input: ModelInput) -> ModelName:
    return ModelName(input.name, input.model_version)
