"""Words: how texts are cut, and how searches are parsed."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine_monitor.database import instants
from machine_monitor.database.fulltext import MAX_POSITION, SEPARATOR, cap_positions, fts_rowid
from machine_monitor.models import USERS
from machine_monitor.query.language import search_terms
from machine_monitor.query.language.search_terms import (
    LETTER_END,
    MAX_LETTERS,
    MAX_QUERY_WORDS,
    MAX_WORD_LENGTH,
    SearchTooLong,
)
from machine_monitor.services.projections import search_index
from query import oracle

WORDS = [
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
    ("hyphen\u00adated", ["hyphenated"]),
    ("5.5kW XK7711234Z", ["5", "5kw", "xk7711234z"]),
    ("l\u00b4huile", ["l", "huile"]),  # an acute accent typed as an apostrophe
    ("Й-1", ["й", "1"]),
    ("हिन्दी में", ["हिन्दी", "में"]),
    ("主轴PN42号", [*"主轴", "pn42", "号"]),
    ("サーバー", [*"サーバー"]),
    ("ที่นี่๑๒", ["ที่", "นี่", "๑๒"]),
    ("각가 \u1100\u1161", ["각", "가", "가"]),
    ("\U00020000\U00020001x", ["\U00020000", "\U00020001", "x"]),
    ("ပြည် ភាសា", ["ပြ", "ည်", "ភា", "សា"]),
    ("🛠️ok", ["ok"]),
]
# A text, and its words with a cut between letters and digits.
CUT = [
    ("5.5kW", ["5", "5", "kw"]),
    ("error404page", ["error", "404", "page"]),
    ("XK7711234Z", ["xk", "7711234", "z"]),
    ("PN-0042", []),
    ("主轴42", []),
    ("Ж7 8й", ["ж", "7", "8", "й"]),
    ("m² 主 a1", ["m", "2", "主", "a", "1"]),
    ("x" * 70 + "1", ["x" * 64, "1"]),
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
    ("\u200b", None),
    # The index has a letter that is a word with the letter after it: `|` ends the first one.
    ("轴", [("轴|", True, False)]),
    ("轴*", [("轴", True, False)]),
    ("轴承", [("轴|承", False, False)]),
    ("-轴承*", [("轴|承", True, True)]),
    ("主轴 承", [("主|轴", False, False), ("承|", True, False)]),
    ('"轴 PN"', [("轴| pn", False, False)]),
    ("PN轴", [("pn 轴|", True, False)]),
    ("กี*", [("กี", True, False)]),
    ("한국어*", [("한|국 국|어", True, False)]),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_a_text_is_cut_into_words(text, words):
    assert [word.removesuffix(LETTER_END) for word in search_terms.words_of(text)] == words == oracle.words_of(text)


@pytest.mark.parametrize(("text", "words"), CUT)
def test_words_of_letters_and_digits_are_also_cut_into_parts(text, words):
    tokens = search_terms.tokenize_readings(text)[1]
    assert [token.partition(LETTER_END)[0] for token in tokens] == words
    assert oracle.words_of(text, cut=True) == (words or oracle.words_of(text))


@pytest.mark.parametrize(("text", "terms"), PARSED)
def test_a_search_is_parsed_into_terms(text, terms):
    parsed = search_terms.parse(text)
    parsed_terms = parsed and [
        (" ".join(term.words).replace(LETTER_END, "|"), term.prefix, term.excluded) for term in parsed
    ]
    assert (parsed_terms if parsed is None else list(parsed_terms)) == terms


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (" ".join(["a"] * MAX_QUERY_WORDS), True),
        (" ".join(["a"] * (MAX_QUERY_WORDS + 1)), False),
        ('"' + "a " * MAX_QUERY_WORDS + '"', True),
        ('"' + "a " * (MAX_QUERY_WORDS + 1) + '"', False),
        ("a-" * (MAX_QUERY_WORDS + 1), False),
        ("-a " * MAX_QUERY_WORDS + "b", False),
        ("- " * 100 + "a", True),
        # A run of letters that are words is one of the 32.
        ("轴" * MAX_LETTERS, True),
        ("轴" * (MAX_LETTERS + 1), False),
        ("轴承 " * MAX_QUERY_WORDS, True),
        ("轴 " * (MAX_QUERY_WORDS + 1), False),
        ('"' + "轴 " * (MAX_QUERY_WORDS + 1) + '"', False),
        ("กี่" * 100 + " " + "轴" * 100, True),
        ("กี่" * 100 + " " + "轴" * 101, False),
        ("5.5kW " * 16, True),
    ],
)
def test_a_search_has_at_most_32_words(text, allowed):
    if allowed:
        assert search_terms.parse(text)
    else:
        with pytest.raises(SearchTooLong):
            search_terms.parse(text)


@given(st.text(max_size=200))
def test_words_contain_no_whitespace_wildcard_or_separator(text):
    for word in search_terms.words_of(text):
        assert 0 < len(word) <= MAX_WORD_LENGTH + len(LETTER_END)
        assert not set(word) & set(string.whitespace + "%_\\" + SEPARATOR)


@given(st.text(max_size=60))
def test_any_search_can_be_parsed(text):
    search_terms.parse(text)


@given(st.text(max_size=60))
def test_words_of_ascii_text_do_not_depend_on_case(text):
    plain = text.encode("ascii", "ignore").decode()
    assert search_terms.tokenize_readings(plain.upper()) == search_terms.tokenize_readings(plain.lower())


@given(st.lists(st.none() | st.text(max_size=30), min_size=3, max_size=3))
def test_fields_are_separated_so_that_no_phrase_matches_across_them(texts):
    values = dict(zip(USERS.searched, texts, strict=True))
    segments = " ".join(search_index.search_document(USERS, values)).split(SEPARATOR)
    readings = [search_terms.tokenize_readings(text) for text in texts if text is not None]
    expected = [tokens for tokens, _ in readings] + [tokens for _, tokens in readings if tokens]
    assert [segment.split() for segment in segments[:-1]] == expected


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
