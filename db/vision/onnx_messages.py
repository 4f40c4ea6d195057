"""What a worker and the process of a model say to each other."""

import struct
from typing import Final

HEADER: Final = struct.Struct("!I")  # bytes of the model's description, which follow; first of all, and once
REQUEST: Final = struct.Struct("!d")  # the least confidence; the pixels follow
RESPONSE: Final = struct.Struct("!cI")  # status, bytes of JSON that follow; also to the description
DONE, REFUSED = b"D", b"R"
TOO_MUCH: Final = "The model takes too much memory or time."
