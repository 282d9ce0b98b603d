"""Read yes and no, and make codes of texts."""

import re
import unicodedata

from machine_monitor.services.imports.mapping.cells import CellFault, cell_text, fold_text
from machine_monitor.services.imports.reader import Cell

BOOLEANS = dict.fromkeys(("yes", "oui", "ja", "true", "vrai", "wahr", "1"), True)
BOOLEANS |= dict.fromkeys(("no", "non", "nein", "false", "faux", "falsch", "0"), False)
# Letters that Unicode does not decompose. Codes must stay what they are, so this table must not change.
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"})
_SIGNS = re.compile(r"[^a-z0-9]+")
CODE_LENGTH = 40


def read_boolean(cell: Cell) -> bool:
    """Return the yes or no of a cell; raises `CellFault`."""
    flag = cell if isinstance(cell, bool) else BOOLEANS.get(fold_text(cell_text(cell)))
    if flag is None:
        raise CellFault("not-a-boolean", "The cell is neither yes nor no.")
    return flag


def code_of(text: str, length: int = CODE_LENGTH) -> str:
    """Return a code for a text: lower case without accents, other signs become `-`; raises `CellFault`."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_LETTERS)
    letters = "".join(character for character in folded if not unicodedata.combining(character))
    code = _SIGNS.sub("-", letters).strip("-")[:length].rstrip("-")
    if not code:
        raise CellFault("not-a-code", "The cell has no letter and no digit to make a code of.")
    return code
