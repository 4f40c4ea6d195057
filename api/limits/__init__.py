"""Limits for one client of a process: its requests, their reading time, and the bytes of a body.

addresses  requests of an address at once     read_rate  time for reading the requests of a token
keyed      so many at once for each key       bodies     how large and how slow a body may be
"""
