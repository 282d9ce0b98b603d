"""Full text search: normalize and tokenize texts, and parse `q`.

This is done in Python, so that both engines index the same tokens.
"""

import re
import unicodedata
from functools import lru_cache

from machine_monitor.database.fulltext import SEPARATOR, Term

MAX_WORD = 64
MAX_WORDS = 32
# A token is a run of letters and digits as `str.isalnum` defines them; `\w` also contains `_`, which separates.
_WORD = re.compile(r"[^\W_]+")
_COMMON_MARKS = re.compile("[\u0300-\u036f]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
# For ASCII: a byte translation table that turns every character except letters and digits into a space. Four times as
# fast.
_ASCII_SEPARATORS = bytes(byte if chr(byte).isalnum() else ord(" ") for byte in range(128)).ljust(256)
_TERM = re.compile(r'(?P<minus>-?)"(?P<quoted>[^"]*)(?:"|$)|(?P<bare>[^\s"]+)')


def fold(text: str) -> str:
    """Normalize a text for search: Unicode NFKD, case folding, combining marks (accents) removed."""
    if text.isascii():
        return text.lower()
    # Fast path: remove the common Latin marks; the rest is usually ASCII and needs no further work.
    folded = _COMMON_MARKS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return folded if folded.isascii() else _BEYOND_ASCII.sub(_without_marks, folded)


def _without_marks(found: re.Match[str]) -> str:
    return "".join(character for character in found[0] if unicodedata.category(character)[0] != "M")


def tokenize(text: str) -> list[str]:
    """Return the tokens of a text in order: folded words, each truncated to MAX_WORD characters."""
    folded = fold(text)
    words = folded.encode().translate(_ASCII_SEPARATORS).decode().split() if folded.isascii() else _WORD.findall(folded)
    return words if len(folded) <= MAX_WORD else [word[:MAX_WORD] for word in words]


@lru_cache(maxsize=4_096)
def facet_token(name: str, value: str) -> str:
    """Return the token that represents a field's value in the search index, so that the index can apply a filter.

    Different values can share a token: the filter itself still applies.
    """
    return (SEPARATOR + name[0] + "".join(tokenize(value)))[:MAX_WORD]


class TooManyWords(ValueError):
    """A search has more than MAX_WORDS words."""


def parse(text: str) -> tuple[Term, ...] | None:
    """Parse `q` into terms.

    An empty `q` returns (): no filter. Text without any token returns None: no record matches.
    """
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
