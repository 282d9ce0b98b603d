"""Full text: how a text is folded and cut into words, and what `q` means. Both engines get the same words."""

import re
import unicodedata
from functools import lru_cache

from machine_monitor.database.fulltext import DIVIDER, Term

MAX_WORD = 64
MAX_WORDS = 32
# A word is a run of what `str.isalnum` calls a letter or a digit; `_` is in `\w` and is none.
_WORD = re.compile(r"[^\W_]+")
_COMMON_MARKS = re.compile("[\u0300-\u036f]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
# The same of ASCII, by the byte, where it takes a quarter of the time: whatever is no letter or digit separates.
_ASCII_SEPARATORS = bytes(byte if chr(byte).isalnum() else ord(" ") for byte in range(128)).ljust(256)
_TERM = re.compile(r'(?P<minus>-?)"(?P<quoted>[^"]*)(?:"|$)|(?P<bare>[^\s"]+)')


def fold(text: str) -> str:
    """The text as searches compare it: NFKD, case folded, without marks."""
    if text.isascii():
        return text.lower()
    # Most marks are the common ones of Latin, and what is left is mostly ASCII, which has none.
    folded = _COMMON_MARKS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return folded if folded.isascii() else _BEYOND_ASCII.sub(_without_marks, folded)


def _without_marks(found: re.Match[str]) -> str:
    return "".join(character for character in found[0] if unicodedata.category(character)[0] != "M")


def tokenize(text: str) -> list[str]:
    """The words of a text, in order, folded, each at most 64 characters."""
    folded = fold(text)
    words = folded.encode().translate(_ASCII_SEPARATORS).decode().split() if folded.isascii() else _WORD.findall(folded)
    return words if len(folded) <= MAX_WORD else [word[:MAX_WORD] for word in words]


@lru_cache(maxsize=4_096)
def facet_token(name: str, value: str) -> str:
    """The one word that stands for a field's value, so that a filter on it narrows a search; others may share it."""
    return (DIVIDER + name[0] + "".join(tokenize(value)))[:MAX_WORD]


class TooManyWords(ValueError):
    """A search has more than 32 words."""


def parse(text: str) -> tuple[Term, ...] | None:
    """The terms of a `q`; empty if it filters nothing, None if it has text but no word, which finds nothing."""
    terms = [term for match in _TERM.finditer(text) if (term := _term(match)) is not None]
    if sum(len(term.words) for term in terms) > MAX_WORDS:
        message = f"A search has at most {MAX_WORDS} words."
        raise TooManyWords(message)
    if not terms and text:
        return None
    return tuple(terms)


def _term(match: re.Match[str]) -> Term | None:
    bare = match["bare"]
    if bare is None:
        words = tokenize(match["quoted"])
        return Term(tuple(words), excluded=bool(match["minus"])) if words else None
    excluded = bare.startswith("-")
    words = tokenize(bare)
    if not words:
        return None
    prefix = bare.endswith("*") and fold(bare[:-1])[-1:].isalnum()
    return Term(tuple(words), prefix, excluded)
