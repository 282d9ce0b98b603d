"""Log a condition that lasts, such as a database file that was moved, once instead of with each request."""

import logging
import threading


class LastingCondition:
    """Logs an error when the condition begins or changes, and once when it has ended."""

    def __init__(self, logger: logging.Logger, ended: str) -> None:
        self._logger = logger
        self._ended = ended
        self._reported = ""
        self._lock = threading.Lock()

    def report(self, sentence: str) -> None:
        """Log the condition, unless it is logged already."""
        with self._lock:
            changed, self._reported = sentence != self._reported, sentence
        if changed:
            self._logger.error(sentence)

    def end(self) -> bool:
        """Log the end of the condition if it was reported; return whether it was."""
        if not self._reported:
            return False
        with self._lock:
            was_reported, self._reported = bool(self._reported), ""
        if was_reported:
            self._logger.warning(self._ended)
        return was_reported
