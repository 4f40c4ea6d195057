"""Doors and processes: HTTP, WebSocket, SSE, identity, settings, worker, command line. Calls down only."""
