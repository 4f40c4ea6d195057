"""How fast Labelgraph is, compared with the same written by hand: hand-written SQL behind a bare ASGI app."""
