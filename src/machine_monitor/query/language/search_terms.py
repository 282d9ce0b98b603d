"""Full text search: cut texts into words, words into the tokens of the index, and parse `q`.

This is done in Python, so that both engines index the same tokens. See docs/internals/search-document.md.

A word is a run of letters and digits, with their marks, of the folded text. In LETTERS_ARE_WORDS, which are mostly
written without spaces, each letter is a word. Its token in the index also holds the letter after it: a phrase of two
letters is one token, and no letter is so common that its positions exceed what an index can store.
"""

import re
import unicodedata
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from machine_monitor.database.fulltext import SEPARATOR, Term
from machine_monitor.query.language import folding
from machine_monitor.query.language.folding import BEYOND_BMP, SCRIPTS, character_class, fold, is_bmp, mark_class

MAX_WORD_LENGTH = 64
MAX_QUERY_WORDS = 32
MAX_LETTERS = 200
LETTERS_ARE_WORDS = ("Han", "Hiragana", "Katakana", "Hangul", "Thai", "Lao", "Khmer", "Myanmar")
# Ends a word that is a letter; a private-use character, which no word contains.
LETTER_END = "\ue001"
# For ASCII: byte translation tables, which are four times as fast as regular expressions. One turns every character
# except letters and digits into a space, the other every letter into `a` and every digit into `0` as well.
_ASCII_SEPARATORS = bytes(byte if chr(byte).isalnum() else ord(" ") for byte in range(128)).ljust(256)
_ASCII_KINDS = bytes(
    ord("a" if chr(byte).isalpha() else "0" if chr(byte).isdigit() else " ") for byte in range(128)
).ljust(256)
_ASCII_PARTS = re.compile("[a-z]+|[0-9]+")
# For texts without marks and without letters that are words.
_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[^\W\d_]+|\d+")
_TERM = re.compile(r'(?P<minus>-?)"(?P<quoted>[^"]*)(?:"|$)|(?P<bare>[^\s"]+)')


class _Patterns(NamedTuple):
    """Regular expressions for folded texts beyond ASCII; a run of letters that are words is their first group."""

    words: re.Pattern[str]
    parts: re.Pattern[str]
    letters: re.Pattern[str]


@cache
def _patterns(*, bmp_only: bool) -> _Patterns:
    marks = f"[{mark_class(bmp_only=bmp_only)}]*"
    unspaced = _letters_that_are_words(bmp_only=bmp_only)
    # `\w` is what `str.isalnum` says, and `_`. It has no marks. The ranges of a script have digits, marks and signs.
    letter = rf"[{unspaced}](?<=[^\W\d_]){marks}"
    run, other_letter, digit = rf"((?:{letter})+)", rf"[^\W\d_{unspaced}]{marks}", rf"\d{marks}"
    return _Patterns(
        re.compile(f"{run}|((?:{other_letter}|{digit})+)"),
        re.compile(f"{run}|((?:{other_letter})+|(?:{digit})+)"),
        re.compile(letter),
    )


def _letters_that_are_words(*, bmp_only: bool) -> str:
    return "".join(character_class(SCRIPTS[name], bmp_only=bmp_only) for name in LETTERS_ARE_WORDS)


@cache
def _needs_patterns() -> re.Pattern[str]:
    """Match what makes a text more than runs of letters and digits: marks, and letters that are words."""
    return re.compile(f"[{mark_class(bmp_only=True)}{_letters_that_are_words(bmp_only=True)}{BEYOND_BMP}]")


def compile_patterns() -> None:
    """Compile the patterns of all texts, which takes some 0.2 s: at start-up, so that no request waits for it."""
    folding.compile_patterns()
    _needs_patterns()
    for bmp_only in (True, False):
        _patterns(bmp_only=bmp_only)


def words_of(text: str) -> list[str]:
    """Return the folded words of a text in order, each truncated to MAX_WORD_LENGTH characters.

    A word that is a letter ends with LETTER_END.
    """
    return _cut(fold(text))


def tokenize_readings(text: str) -> tuple[list[str], list[str]]:
    """Return the index tokens of a text in both ways to read it.

    First as it is, then with a cut between letters and digits: `5.5kW` is `5 5kw`, and `5 5 kw`. The second is empty if
    no word has both letters and digits.
    """
    folded = fold(text)
    if folded.isascii():
        encoded = folded.encode()
        words, kinds = encoded.translate(_ASCII_SEPARATORS).decode().split(), encoded.translate(_ASCII_KINDS)
        is_mixed = b"0" in kinds and (b"a0" in kinds or b"0a" in kinds)
        parts = _ASCII_PARTS.findall(folded) if is_mixed else []
        return (words, parts) if len(folded) <= MAX_WORD_LENGTH else (_truncate(words), _truncate(parts))
    if _needs_patterns().search(folded) is None:
        words, parts = _truncate(_WORD.findall(folded)), _truncate(_PART.findall(folded))
        return words, parts if len(parts) > len(words) else []
    patterns = _patterns(bmp_only=is_bmp(folded))
    words, parts = _cut_by(patterns.words, folded), _cut_by(patterns.parts, folded)
    return _pair(words), _pair(parts) if len(parts) > len(words) else []


def _cut(folded: str) -> list[str]:
    if folded.isascii():
        return _truncate(folded.encode().translate(_ASCII_SEPARATORS).decode().split())
    if _needs_patterns().search(folded) is None:
        return _truncate(_WORD.findall(folded))
    return _cut_by(_patterns(bmp_only=is_bmp(folded)).words, folded)


def _cut_by(pattern: re.Pattern[str], folded: str) -> list[str]:
    words, letters = [], _patterns(bmp_only=is_bmp(folded)).letters
    for run, word in pattern.findall(folded):
        if run:
            words += [letter[:MAX_WORD_LENGTH] + LETTER_END for letter in letters.findall(run)]
        else:
            words.append(word[:MAX_WORD_LENGTH])
    return words


def _truncate(words: list[str]) -> list[str]:
    return [word[:MAX_WORD_LENGTH] for word in words] if max(map(len, words), default=0) > MAX_WORD_LENGTH else words


def _pair(words: list[str]) -> list[str]:
    """Add to each letter that is a word the one that follows it, if one does."""
    if not words:
        return words
    return [
        word + after[:-1] if word[-1] == after[-1] == LETTER_END else word for word, after in pairwise(words)
    ] + words[-1:]


@lru_cache(maxsize=4_096)
def facet_token(name: str, value: str) -> str:
    """Return the token that represents a field's value in the search index, so that the index can apply a filter.

    Different values can share a token: the filter itself still applies.
    """
    return (SEPARATOR + name[0] + "".join(words_of(value)))[:MAX_WORD_LENGTH]


class SearchTooLong(ValueError):
    """A search has more than MAX_QUERY_WORDS words, or more than MAX_LETTERS letters that are words."""


def parse(text: str) -> tuple[Term, ...] | None:
    """Parse `q` into terms.

    An empty `q` returns (): no filter. Text without any token returns None: no record matches.
    """
    terms, words, letters = [], 0, 0
    for match in _TERM.finditer(text):
        term = _term(match)
        if term is not None:
            terms.append(term)
            words, letters = map(sum, zip((words, letters), _count(match["bare"] or match["quoted"]), strict=True))
    if words > MAX_QUERY_WORDS:
        message = f"A search has at most {MAX_QUERY_WORDS} words."
        raise SearchTooLong(message)
    if letters > MAX_LETTERS:
        message = f"A search has at most {MAX_LETTERS} letters in scripts such as Chinese, Korean and Thai."
        raise SearchTooLong(message)
    if not terms and text:
        return None
    return tuple(terms)


def _term(match: re.Match[str]) -> Term | None:
    bare = match["bare"]
    excluded = bool(match["minus"]) if bare is None else bare.startswith("-")
    words = words_of(match["quoted"] if bare is None else bare)
    if not words:
        return None
    is_prefix = bare is not None and bare.endswith("*") and _ends_in_word(fold(bare[:-1]))
    tokens, prefix = _phrase(words, is_prefix=is_prefix)
    return Term(tuple(tokens), prefix, excluded)


def _ends_in_word(folded: str) -> bool:
    end = len(folded)
    while end and unicodedata.category(folded[end - 1])[0] == "M":
        end -= 1
    return folded[:end][-1:].isalnum()


def _phrase(words: list[str], *, is_prefix: bool) -> tuple[list[str], bool]:
    """Return the tokens that match these words in a row, and whether the last one matches as a prefix."""
    *before, last = _pair(words)
    if not last.endswith(LETTER_END):
        return [*before, last], is_prefix
    if len(words) > 1 and words[-2].endswith(LETTER_END):
        return before, is_prefix  # the token before holds the last letter too
    # Whichever letter follows it. A prefix also matches the letter with marks, or with more of them.
    return [*before, last.removesuffix(LETTER_END) if is_prefix else last], True


def _count(text: str) -> tuple[int, int]:
    """Count the words of a search, in which a run of letters that are words is one, and the letters of such runs."""
    folded = fold(text)
    if folded.isascii():
        return len(_cut(folded)), 0
    patterns = _patterns(bmp_only=is_bmp(folded))
    runs = patterns.words.findall(folded)
    return len(runs), sum(len(patterns.letters.findall(run)) for run, _ in runs)
