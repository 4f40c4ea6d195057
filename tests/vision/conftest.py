"""What needs the extra of `requirements-vision.txt`: without it none of this is collected, and `./labelgraph test
--vision` installs it."""

from db import vision

collect_ignore_glob = [] if vision.is_available() else ["*.py"]
