"""How fast Labelgraph is, beside the same by hand: hand-written SQL behind a bare ASGI app."""
