"""From which state of the database the reads of a request may be answered, if a standby is read too.

States are named by positions of PostgreSQL's write-ahead log (LSN).
"""

import re
import threading
from dataclasses import dataclass

_POSITION = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
BEGINNING = "0/0"
# A position that no server reaches.
END = "FFFFFFFF/FFFFFFFF"


@dataclass
class ReadPoint:
    """The position that the answering server must have reached, and the state of the history at the primary.

    `is_current` becomes False when a standby has answered from another state.
    """

    position: str
    history_state: bytes
    is_current: bool = True


class HighestPosition:
    """The highest of some positions, which several threads report; empty before the first."""

    def __init__(self) -> None:
        self.value = ""
        self._lock = threading.Lock()

    def advance(self, position: str) -> None:
        """Take a position if it is higher than those before."""
        with self._lock:
            self.value = higher(self.value, position)


def higher(first: str, second: str) -> str:
    """Return the higher of two positions, either of which may be empty."""
    return max(first, second, key=_number)


def parse_position(text: str) -> str:
    """Return the position that a client has sent; that of an invalid one is reached by no standby."""
    if not text:
        return BEGINNING
    return text if _POSITION.fullmatch(text) else END


def _number(position: str) -> int:
    high, _, low = position.partition("/")
    return int(high or "0", 16) << 32 | int(low or "0", 16)
