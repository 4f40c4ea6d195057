"""Doors and processes: HTTP, WebSocket, SSE, identity, settings, worker, command line. Calls down, is called by none."""
