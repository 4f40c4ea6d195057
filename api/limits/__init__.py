"""What one client may take of a process: connections, requests and time at once, and bytes of a body."""
