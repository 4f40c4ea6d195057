"""Connections: the protocols between sockets and the application, and limits for one connection and one address.

uvicorn's protocols parse whatever has come at once, wait for ever for a client that does not read, and have no limit
on a request's head. Ours parse a little in each iteration of the event loop, so that no connection delays the others.

http        one request after the other    open_connections  how many connections there may be
websocket   one message after the other    connection        what both have in common
"""
