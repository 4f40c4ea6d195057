"""Processes and protocols: HTTP, WebSocket, SSE, authentication, settings, worker, command line."""
