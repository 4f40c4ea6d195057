"""How fast Labelgraph answers beside the limit: the same answers from hand-written SQL behind a bare ASGI app."""
