"""Guard the texts of a CSV file against spreadsheets, which run some as formulas and take others for values.

A guarded text has a `'` in front. An import takes it off again.
"""

import re

GUARD = "'"
# CSV injection: cells that begin with these are run as formulas. The guard is among them, so that it can be told apart.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", GUARD)
# What a spreadsheet leaves as it is: whole numbers of at most 15 digits without a zero in front.
_KEPT_NUMBER = re.compile(r"0|[1-9]\d{0,14}", re.ASCII)
# Numbers, amounts, percentages, fractions, dates and times: digits among the signs that these have.
_VALUE = re.compile(
    r"[\s\d.,'%$€£¥/:+-]*\d[\s\d.,'%$€£¥/:+-]*(?:[eE][+-]?\d+)?(?:\s[aApP]\.?(?:[mM]\.?)?|[aApP][mM])?", re.ASCII
)
_MONTH = (
    r"(?:jan|feb|fe?v|febr|mar|mär|maer|mrz|apr|avr|may|mai|jun|juin|jul|juil|aug|aou|aoû|sep|oct|okt|nov|dec|dez|déc)"
    r"[^\W\d_]{0,8}\.?"
)
_SIGN, _NUMBER = r"[-/., ]{0,2}", r"\d{1,4}"
_MONTH_AND_NUMBER = re.compile(
    rf"{_NUMBER}{_SIGN}{_MONTH}|(?:{_NUMBER}{_SIGN})?{_MONTH}{_SIGN}{_NUMBER}(?:{_SIGN}{_NUMBER})?", re.IGNORECASE
)
_BOOLEANS = frozenset({"true", "false", "vrai", "faux", "wahr", "falsch"})


def is_changed_by_spreadsheets(text: str) -> bool:
    """Whether a spreadsheet would run a text as a formula, or store it as a number, a date or a truth value."""
    if text.startswith(FORMULAS):
        return True
    if not text or len(text) > 60 or _KEPT_NUMBER.fullmatch(text):
        return False
    if _VALUE.fullmatch(text) or _MONTH_AND_NUMBER.fullmatch(text.strip()):
        return True
    return text.strip().lower() in _BOOLEANS


def guard(text: str) -> str:
    """Return the text, guarded if a spreadsheet would change it."""
    return GUARD + text if is_changed_by_spreadsheets(text) else text


def unguard(text: str) -> str:
    """Return the text without its guard."""
    return text[1:] if is_guarded(text) else text


def is_guarded(text: str) -> bool:
    """Whether a text looks like one that `guard` has guarded."""
    return text.startswith(GUARD) and is_changed_by_spreadsheets(text[1:])
