"""Limits for one client of a process.

requests  how many of a token or an address run at once    bodies  how large and how slow a body may be
rates     how much a second, and how long a client waits
"""
