"""Full text: how a text is folded and cut into words, and what `q` means. Both engines get the same words."""

import re
import unicodedata

from machine_monitor.database.fulltext import DIVIDER, Term

MAX_WORD = 64
MAX_WORDS = 32
# A word is a run of what `str.isalnum` calls a letter or a digit; `_` is in `\w` and is none.
_WORD = re.compile(r"[^\W_]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_TERM = re.compile(r'(?P<minus>-?)"(?P<quoted>[^"]*)(?:"|$)|(?P<bare>[^\s"]+)')


def fold(text: str) -> str:
    """The text as searches compare it: NFKD, case folded, without marks."""
    if text.isascii():
        return text.lower()
    # Signs of ASCII are no marks, and most signs are of ASCII.
    return _BEYOND_ASCII.sub(_without_marks, unicodedata.normalize("NFKD", text).casefold())


def _without_marks(found: re.Match[str]) -> str:
    return "".join(character for character in found[0] if unicodedata.category(character)[0] != "M")


def cut(text: str) -> list[str]:
    """The words of a text, in order, folded, each at most 64 characters."""
    return [word[:MAX_WORD] for word in _WORD.findall(fold(text))]


def facet_word(name: str, value: str) -> str:
    """The one word that stands for a field's value, so that a filter on it narrows a search; others may share it."""
    return (DIVIDER + name[0] + "".join(cut(value)))[:MAX_WORD]


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
        words = cut(match["quoted"])
        return Term(tuple(words), excluded=bool(match["minus"])) if words else None
    excluded = bare.startswith("-")
    words = cut(bare)
    if not words:
        return None
    prefix = bare.endswith("*") and fold(bare[:-1])[-1:].isalnum()
    return Term(tuple(words), prefix, excluded)
