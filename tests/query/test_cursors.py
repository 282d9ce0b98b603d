"""Encoding and decoding of cursors."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine_monitor.errors import BadCursor
from machine_monitor.query.language import cursors
from machine_monitor.query.language.cursors import Cursor

ALPHABET = string.ascii_letters + string.digits + "-_+/= \n."
SAMPLE = Cursor(
    "0011223344556677", ("2025-07-25T13:18:25Z", None, 3, True, "é🛠"), backward=True, now="2025-07-25T00:00:00Z"
)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=40)


@given(
    st.builds(
        Cursor,
        fingerprint=st.text(st.sampled_from("0123456789abcdef"), min_size=16, max_size=16),
        values=st.lists(VALUES, min_size=1, max_size=6).map(tuple),
        backward=st.booleans(),
        inclusive=st.booleans(),
        now=st.none() | st.just("2025-07-25T13:18:25.000001Z"),
    )
)
def test_a_cursor_round_trips(cursor):
    text = cursors.encode(cursor)
    assert cursors.decode(text) == cursor
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")


def test_any_altered_character_is_refused():
    text = cursors.encode(SAMPLE)
    for place in range(len(text)):
        altered = [text[:place] + other + text[place + 1 :] for other in ALPHABET if other != text[place]]
        altered += [text[:place] + text[place + 1 :], text[:place] + text[place] + text[place:]]
        for spelling in {*altered} - {text}:
            with pytest.raises(BadCursor):
                cursors.decode(spelling)


def test_other_spellings_of_the_same_bytes_are_refused():
    # Cover each length modulo 3, so that the last base64 character has unused bits, which a decoder ignores.
    for extra in ("", "a", "aa"):
        text = cursors.encode(Cursor("0011223344556677", (extra, "~~~???>>>")))
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        last = [text[:-1] + sign for sign in ALPHABET if sign != text[-1]]
        standard = base64.b64encode(raw).decode()
        others = {text + "=", text + "==", text + "\n", " " + text, text + ".", standard, standard.rstrip("="), *last}
        for spelling in others - {text}:
            with pytest.raises(BadCursor):
                cursors.decode(spelling)


@pytest.mark.parametrize("text", ["", "a", "aaaa", "=", "é", "\udc80", "null", "bnVsbA", "A" * 11, "A" * 8000])
def test_an_invalid_cursor_is_refused(text):
    with pytest.raises(BadCursor):
        cursors.decode(text)


@given(st.text(max_size=40))
def test_any_other_text_is_refused(text):
    with pytest.raises(BadCursor):
        cursors.decode(text)


def test_a_fingerprint_depends_on_every_part_and_on_nothing_else():
    parts = ("logs", "", [("type", "error")], "", (("started_at", True), ("id", True)))
    assert cursors.query_fingerprint(*parts) == cursors.query_fingerprint(*parts)
    others = [
        ("machines", *parts[1:]),
        ("logs", "/logs/x/history", *parts[2:]),
        (*parts[:2], [("type", "error"), ("type", "info")], *parts[3:]),
        (*parts[:3], "q", parts[4]),
        (*parts[:4], (("started_at", False), ("id", True))),
    ]
    assert len({cursors.query_fingerprint(*other) for other in [parts, *others]}) == 6
