"""How fast Labelgraph answers, compared with the same answers from hand-written SQL behind a bare ASGI app."""
