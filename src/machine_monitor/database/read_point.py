"""From which state of the database the reads of a request may be answered, if a standby is read too."""

import re
from dataclasses import dataclass

# A position of PostgreSQL's write-ahead log (LSN).
_POSITION = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
BEGINNING = "0/0"
# A position that no server reaches.
END = "FFFFFFFF/FFFFFFFF"


@dataclass
class ReadPoint:
    """The position that the answering server must have reached, and the hash of the history's head at the primary.

    `is_current` becomes False when a standby has answered from another state than that of the head.
    """

    after: str
    head_hash: bytes
    is_current: bool = True


def parse_position(text: str | None) -> str:
    """Return the position of a request; that of an invalid one is reached by no standby."""
    if text is None:
        return BEGINNING
    return text if _POSITION.fullmatch(text) else END


def position_number(position: str) -> int:
    """Return a position as a number, by which positions are compared."""
    high, low = position.split("/")
    return int(high, 16) << 32 | int(low, 16)
