"""Folding, tokenizing and parsing of searches."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine_monitor.database import instants
from machine_monitor.database.fulltext import MAX_POSITION, SEPARATOR, cap_positions, fts_rowid
from machine_monitor.models import USERS
from machine_monitor.query.language import search_terms
from machine_monitor.query.language.search_terms import MAX_WORD, MAX_WORDS, TooManyWords
from machine_monitor.services.projections import search_index

FOLDED = [
    ("Écluse", "ecluse"),
    ("E\u0301cluse", "ecluse"),
    ("STRASSE", "strasse"),
    ("Straße", "strasse"),
    ("İstanbul", "istanbul"),
    ("ﬁltre", "filtre"),
    ("\uff21\uff22\uff23\uff11\uff12", "abc12"),
    ("N² ½", "n2 1\u20442"),
    ("Ωmega Жук", "ωmega жук"),
    ("Œuvre", "œuvre"),
    ("ÅÄÖ ñ ç", "aao n c"),
    ("100%_\\", "100%_\\"),
    ("🛠 ok", "🛠 ok"),
    ("", ""),
]
TOKENIZED = [
    ("PN-0042", ["pn", "0042"]),
    ("machine-outil", ["machine", "outil"]),
    ("l'huile d'abord", ["l", "huile", "d", "abord"]),
    ("a_b", ["a", "b"]),
    ("12.5", ["12", "5"]),
    ("a/b", ["a", "b"]),
    ("x@y.fr", ["x", "y", "fr"]),
    ("Dépôt—nº 3", ["depot", "no", "3"]),
    ("  \t\n ", []),
    ("%_*\"'🛠", []),
    ("ключ 鍵", ["ключ", "鍵"]),
    ("a" * 65, ["a" * 64]),
    ("é" * 70 + " b", ["e" * 64, "b"]),
    ("Straße", ["strasse"]),
]
# A search and its terms, as (words, is a prefix, is excluded); None matches nothing.
PARSED = [
    ("", []),
    ("   ", None),
    ("-", None),
    ('""', None),
    ("*", None),
    ("- '.' \"-\"", None),
    ("Huile", [("huile", False, False)]),
    ("huile  PELLE", [("huile", False, False), ("pelle", False, False)]),
    ("PN-0042", [("pn 0042", False, False)]),
    ("a_b", [("a b", False, False)]),
    ("a:b", [("a b", False, False)]),
    ("-huile", [("huile", False, True)]),
    ("-PN-0042", [("pn 0042", False, True)]),
    ('"Fuite d\'huile"', [("fuite d huile", False, False)]),
    ('-"fuite huile"', [("fuite huile", False, True)]),
    ("hui*", [("hui", True, False)]),
    ("-hui*", [("hui", True, True)]),
    ("PN-00*", [("pn 00", True, False)]),
    ('"fuite hui', [("fuite hui", False, False)]),
    ('a "b c', [("a", False, False), ("b c", False, False)]),
    ('-"b c', [("b c", False, True)]),
    ("a AND b", [("a", False, False), ("and", False, False), ("b", False, False)]),
    ("a OR b", [("a", False, False), ("or", False, False), ("b", False, False)]),
    ("a NEAR b", [("a", False, False), ("near", False, False), ("b", False, False)]),
    ("a - b", [("a", False, False), ("b", False, False)]),
    ("x" * 70, [("x" * 64, False, False)]),
]


@pytest.mark.parametrize(("text", "folded"), FOLDED)
def test_folding_drops_case_marks_and_compatibility(text, folded):
    assert search_terms.fold(text) == folded


@pytest.mark.parametrize(("text", "words"), TOKENIZED)
def test_words_are_runs_of_letters_and_digits(text, words):
    assert search_terms.tokenize(text) == words


@pytest.mark.parametrize(("text", "terms"), PARSED)
def test_a_search_is_parsed_into_terms(text, terms):
    parsed = search_terms.parse(text)
    found = parsed and [(" ".join(term.words), term.prefix, term.excluded) for term in parsed]
    assert (found if parsed is None else list(found)) == terms


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (" ".join(["a"] * MAX_WORDS), True),
        (" ".join(["a"] * (MAX_WORDS + 1)), False),
        ('"' + "a " * MAX_WORDS + '"', True),
        ('"' + "a " * (MAX_WORDS + 1) + '"', False),
        ("a-" * (MAX_WORDS + 1), False),
        ("-a " * MAX_WORDS + "b", False),
        ("- " * 100 + "a", True),
    ],
)
def test_a_search_has_at_most_32_words(text, allowed):
    if allowed:
        assert search_terms.parse(text)
    else:
        with pytest.raises(TooManyWords):
            search_terms.parse(text)


@given(st.text(max_size=200))
def test_words_contain_no_whitespace_wildcard_or_separator(text):
    for word in search_terms.tokenize(text):
        assert 0 < len(word) <= MAX_WORD
        assert not set(word) & set(string.whitespace + "%_\\" + SEPARATOR)


@given(st.text(max_size=60))
def test_any_search_can_be_parsed(text):
    search_terms.parse(text)


@given(st.text(max_size=60))
def test_words_of_ascii_text_do_not_depend_on_case(text):
    plain = text.encode("ascii", "ignore").decode()
    assert search_terms.tokenize(plain.upper()) == search_terms.tokenize(plain.lower())


@given(st.lists(st.none() | st.text(max_size=30), min_size=3, max_size=3))
def test_fields_are_separated_so_that_no_phrase_matches_across_them(texts):
    values = dict(zip(USERS.searched, texts, strict=True))
    segments = " ".join(search_index.document(USERS, values)).split(SEPARATOR)
    assert [segment.split() for segment in segments[:-1]] == [
        search_terms.tokenize(text) for text in texts if text is not None
    ]


@pytest.mark.parametrize(
    ("given_words", "expected"),
    [
        (["a"] * 300, ["a"] * 255 + [SEPARATOR] * 45),
        (["a", *["b"] * 255, "b", "a"], ["a", *["b"] * 255, SEPARATOR, "a"]),
        (
            [*map(str, range(MAX_POSITION)), "0", "x", "y", "x"],
            [*map(str, range(MAX_POSITION)), SEPARATOR, "x", SEPARATOR, "y"],
        ),
    ],
    ids=["many of one", "a gap among others", "past the last position"],
)
def test_beyond_the_last_indexed_position_words_match_but_phrases_do_not(given_words, expected):
    assert cap_positions(given_words) == expected


@given(st.lists(st.integers(0, 130 * 365 * 86_400 * 10**6), min_size=2, max_size=2), st.integers(1, 9))
def test_fts_rowids_are_ordered_by_whole_seconds(microseconds, identity):
    first, later = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n) for n in sorted(microseconds)]
    places = [fts_rowid(identity, instants.format_instant(moment)) for moment in (first, later)]
    assert 0 < places[0] <= places[1] < 2**63
    assert places[0] & (2**30 - 1) == identity
    if first.replace(microsecond=0) < later.replace(microsecond=0):
        assert places[0] < places[1]
