"""What one client may take of a process: connections, requests and time at once, and bytes of a body.

addresses  requests of an address at once     read_rate  time for reading the requests of a token
keyed      so many at once for each key       bodies     how large and how slow a body may be
"""
