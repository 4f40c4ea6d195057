"""Default limits, for the settings and for code that gets none. Sizes are in bytes; `api/settings.py` explains each."""

from typing import Final

MIB: Final = 1024 * 1024

SOURCE: Final = 64 * 1024
TOKENS: Final = 2_000
DEPTH: Final = 16
ALIASES: Final = 100
ROOT_FIELDS: Final = 20
DIRECTIVES: Final = 60
COST: Final = 500_000
ANSWER: Final = 16 * MIB
INPUTS: Final = 50_000
PAGE: Final = 100
IDS: Final = 1_000
UPLOAD_FILE: Final = 5 * MIB
UPLOAD_REQUEST: Final = 8 * MIB
STAGED: Final = 256 * 1024 * MIB
