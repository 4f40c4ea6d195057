"""Models, as clients name them."""

import strawberry


@strawberry.input(description="A model of a dataset.")
class ModelInput:
    name: str = strawberry.field(description="Name of the model: 1–256 characters.")
    version: str = strawberry.field(description="Version of the model: 1–256 characters.")
