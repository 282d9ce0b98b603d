"""Fold texts for comparison: the same text whatever its case, accents and spelling in Unicode.

Python does this when a text is written, and for the text that is searched, because SQLite and PostgreSQL do it in
different ways.
The steps, in order:

1. Remove default-ignorable code points, such as the soft hyphen and the zero width space: they are invisible.
2. NFKD (compatibility decomposition, UAX #15), then full case folding (Unicode's CaseFolding.txt).
3. Replace LETTERS: letters that readers take for others, but that have no decomposition.
4. Remove marks (general category M) whose base is of one of MARKS_DROPPED: there they are accents and points. In other
   scripts a mark makes another letter (kana voicing, Cyrillic short i) or is a vowel (Indic scripts, Thai): it stays.
5. NFC: compose Hangul syllables and letters with marks that stay, so that no letter contains another.

The tables of ranges are of the Unicode Character Database 17.0: DerivedCoreProperties.txt and Scripts.txt. Python's
`unicodedata` has neither property.
"""

import re
import unicodedata
from functools import cache

# Property Default_Ignorable_Code_Point.
DEFAULT_IGNORABLE = (
    "ad 34f 61c 115f-1160 17b4-17b5 180b-180f 200b-200f 202a-202e 2060-206f 3164 fe00-fe0f feff ffa0 fff0-fff8 "
    "1bca0-1bca3 1d173-1d17a e0000-e0fff"
)
# Property Script. Unassigned code points between two ranges are included.
SCRIPTS = {
    "Latin": (
        "41-5a 61-7a aa ba c0-d6 d8-f6 f8-2b8 2e0-2e4 1d00-1d25 1d2c-1d5c 1d62-1d65 1d6b-1d77 1d79-1dbe 1e00-1eff "
        "2071 207f 2090-209c 212a-212b 2132 214e 2160-2188 2c60-2c7f a722-a787 a78b-a7ff ab30-ab5a ab5c-ab64 "
        "ab66-ab69 fb00-fb06 ff21-ff3a ff41-ff5a 10780-107bf 1df00-1dfff"
    ),
    "Greek": (
        "370-373 375-377 37a-37d 37f 384 386 388-3e1 3f0-3ff 1d26-1d2a 1d5d-1d61 1d66-1d6a 1dbf 1f00-1ffe 2126 ab65 "
        "10140-1018e 101a0 1d200-1d245"
    ),
    # Tatweel (U+0640), which lengthens a word, is common to several scripts: here it is Arabic.
    "Arabic": (
        "600-604 606-60b 60d-61a 61c-61e 620-66f 671-6dc 6de-6ff 750-77f 870-8e1 8e3-8ff fb50-fd3d fd40-fdff "
        "fe70-fefc 10e60-10e7e 10ec2-10eff 1ee00-1eef1"
    ),
    "Hebrew": "591-5f4 fb1d-fb4f",
    "Han": (
        "2e80-2fd5 3005 3007 3021-3029 3038-303b 3400-4dbf 4e00-9fff f900-fad9 16fe2-16fe3 16ff0-16ff6 20000-33479"
    ),
    "Hiragana": "3041-3096 309d-309f 1b001-1b11f 1b132 1b150-1b152 1f200",
    # The prolonged sound mark (U+30FC), a letter, is common to both kana: here it is Katakana.
    "Katakana": (
        "30a1-30fa 30fc-30ff 31f0-31ff 32d0-32fe 3300-3357 ff66-ff9d 1aff0-1affe 1b000 1b120-1b122 1b155 1b164-1b167"
    ),
    "Hangul": "1100-11ff 302e-302f 3131-318e 3200-321e 3260-327e a960-a97c ac00-d7fb ffa0-ffdc",
    "Thai": "e01-e3a e40-e5b",
    "Lao": "e81-edf",
    "Khmer": "1780-17f9 19e0-19ff",
    "Myanmar": "1000-109f a9e0-a9fe aa60-aa7f 116d0-116e3",
}
MARKS_DROPPED = ("Latin", "Greek", "Arabic", "Hebrew")
# After case folding. The last one is the dotless i.
LETTERS = {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
# Cyrillic io. Russian writes it as ie at will; the other Cyrillic letters with marks are letters of their own.
IE = "\u0435"
_IO = re.compile(f"{IE}\u0308+")
# No mark is assigned beyond these planes, except variation selectors, which are ignorable.
_LAST_MARK = 0x1FFFF


def character_class(ranges: str, *, bmp_only: bool = False) -> str:
    """Return these ranges, such as `41-5a 61`, as the inside of a character class of a regular expression.

    With `bmp_only`, without code points beyond the basic multilingual plane: `re` looks up the others in a table, but
    tries ranges beyond one by one.
    """
    bounds = [part.partition("-")[::2] for part in ranges.split()]
    return "".join(
        rf"\U{first:0>8}-\U{last or first:0>8}" for first, last in bounds if not (bmp_only and len(first) > len("ffff"))
    )


@cache
def mark_class(*, bmp_only: bool) -> str:
    """Return all marks (general category M) as the inside of a character class. Computed once, in some 20 ms."""
    last = 0xFFFE if bmp_only else _LAST_MARK
    marks = [code for code in range(0x300, last) if unicodedata.category(chr(code))[0] == "M"]
    starts = [code for code in marks if unicodedata.category(chr(code - 1))[0] != "M"]
    ends = [code for code in marks if unicodedata.category(chr(code + 1))[0] != "M"]
    return character_class(" ".join(f"{first:x}-{last:x}" for first, last in zip(starts, ends, strict=True)))


_IGNORABLE = re.compile(f"[{character_class(DEFAULT_IGNORABLE)}]+")
_LETTER = re.compile(f"[{''.join(LETTERS)}]")
# The accents of plain Latin letters. A pattern that begins with a character class is searched much faster than one that
# begins with a lookbehind, so the base is checked after the first mark.
_LATIN_ACCENTS = re.compile("[\u0300-\u036f](?<=[a-z].)[\u0300-\u036f]*")
# Beyond the basic multilingual plane, except for pictographs: these are neither letters nor marks.
BEYOND_BMP = "\U00010000-\U0001efff\U0001fb00-\U0010ffff"
_BEYOND_BMP = re.compile(f"[{BEYOND_BMP}]")


def is_bmp(text: str) -> bool:
    """Whether all letters and marks of the text are in the basic multilingual plane."""
    return _BEYOND_BMP.search(text) is None


@cache
def _dropped_marks(*, bmp_only: bool) -> re.Pattern[str]:
    """Match the marks of letters whose marks are dropped."""
    marks = mark_class(bmp_only=bmp_only)
    bases = "".join(character_class(SCRIPTS[name], bmp_only=bmp_only) for name in MARKS_DROPPED)
    # The ranges of a script contain marks too; a mark is not a base.
    return re.compile(f"[{marks}](?<=[{bases}].)(?<![{marks}].)[{marks}]*")


def compile_patterns() -> None:
    """Compile the patterns of all texts, so that no request waits for it."""
    for bmp_only in (True, False):
        _dropped_marks(bmp_only=bmp_only)


def remove_ignorable(text: str) -> str:
    """Return the text without default-ignorable code points."""
    return text if text.isascii() else _IGNORABLE.sub("", text)


def fold(text: str) -> str:
    """Return the text without case, accents and differences of spelling; see the module for the rules."""
    if text.isascii():
        return text.lower()
    # Most texts with accents are ASCII without them, and finished here.
    folded = _LATIN_ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return folded if folded.isascii() else _fold_letters(text, folded)


def _fold_letters(text: str, folded: str) -> str:
    if _IGNORABLE.search(text):
        # They may stand between a letter and its marks, which then belong together.
        return fold(_IGNORABLE.sub("", text))
    folded = _LETTER.sub(lambda found: LETTERS[found[0]], folded)
    if not folded.isascii():
        folded = _dropped_marks(bmp_only=is_bmp(folded)).sub("", _IO.sub(IE, folded))
    return unicodedata.normalize("NFC", folded)
