import strawberry


@strawberry.interface(description="Anything with a global id, to be found again by `node(id)`.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Global id. Opaque: keep it, compare it, send it back, do not take it apart."
    )
