"""Folding: what counts as the same text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine_monitor.query.language.folding import fold
from query import oracle

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
    ("ÅÄÖ ñ ç", "aao n c"),
    ("100%_\\", "100%_\\"),
    ("🛠 ok", "🛠 ok"),
    ("", ""),
    # Letters without a decomposition.
    ("Manœuvre Œuvre CŒUR", "manoeuvre oeuvre coeur"),
    ("Ærø ǽ Ǿ", "aero ae o"),
    ("ŁÓDŹ Đà Nẵng ĐURO", "lodz da nang duro"),
    ("Þór Ðe Isparta D\u0131\u015f", "thor de isparta dis"),
    # Ignorable characters.
    ("soft\u00adhyphen zero\u200bwidth \ufeffmark", "softhyphen zerowidth mark"),
    ("e\u200d\u0301 e\u034f\u0301", "e e"),
    ("\u200b\u2060\u3164\ufe0f", ""),
    # Marks that are accents, in scripts that are written without them at will.
    ("Ήλιος ΐ", "ηλιοσ \u03b9"),
    ("مُحَمَّد آلة", "محمد الة"),
    ("שָׁלוֹם", "שלום"),
    ("Ёлка ёж", "елка еж"),
    ("ё\u0308ж", "еж"),
    # Marks that make another letter, or are vowels.
    ("バンク パンク ハンク", "バンク パンク ハンク"),
    ("\uff8a\uff9e\uff9d\uff78", "バンク"),  # half width
    ("ハ\u3099ンク", "バンク"),
    ("Мой мои ЇЖАК ў", "мой мои їжак ў"),
    ("и\u0306", "й"),
    ("हिन्दी", "हिन्दी"),
    ("ที่ นี่", "ที่ นี่"),
    ("각 가 \u1100\u1161\u11a8", "각 가 각"),
    ("1\u0308 \u0301", "1\u0308 \u0301"),
]


@pytest.mark.parametrize(("text", "folded"), FOLDED)
def test_texts_fold_by_the_rules_of_their_script(text, folded):
    assert fold(text) == folded
    assert oracle.fold(text.translate(dict.fromkeys(map(ord, "\ufeff\u3164")))) == folded


def test_folding_is_stable_and_does_not_depend_on_the_normal_form():
    letters = [chr(code) for code in range(0x20, 0x1FFFF) if unicodedata.decomposition(chr(code))]
    folded = {letter: fold(letter) for letter in letters}
    assert [letter for letter in letters if fold(folded[letter]) != folded[letter]] == []
    assert [letter for letter in letters if fold(unicodedata.normalize("NFD", letter)) != folded[letter]] == []


ALPHABET = st.sampled_from("aé\u0301\u0308œИйиё\u0435\u0306ハバ\u3099각\u1100\u1161हिกี่\u0e49άبّאּ1²\u00ad\u200d°'🛠 ")


@given(st.text(ALPHABET, max_size=12) | st.text(st.characters(max_codepoint=0x24F), max_size=12))
def test_folding_agrees_with_the_definition(text):
    assert fold(text) == oracle.fold(text)
