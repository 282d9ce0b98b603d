"""Suggestions for misspelled names: "Did you mean ...?"."""

import difflib
from collections.abc import Collection, Iterable

# Field names of the first prototype, and their names in this API: first in logs, then in other resources.
# docs/prototype.md has the same table.
PROTOTYPE_FIELDS = {
    "machineName": ("machine", "name"),
    "timeStamp": ("started_at",),
    "userName": ("user", "trigram"),
    "firstName": ("first_name",),
    "lastName": ("last_name",),
    "authorisation": ("role",),
}
_RENAMED = {name.lower(): fields for name, fields in PROTOTYPE_FIELDS.items()}
# Longer names are not compared: none of ours is as long, and comparing takes long.
MAX_LENGTH = 64


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean '...'?" with the most similar of the known names; empty if none is similar.

    A field of a related record comes first: `machine.sector` is meant by `sector`.
    """
    if len(name) > MAX_LENGTH:
        return ""
    names = list(known)
    related = [other for other in names if other.endswith(f".{name}")]
    similar = difflib.get_close_matches(name, related or names, n=1, cutoff=0.5)
    return f" Did you mean '{similar[0]}'?" if similar else ""


def did_you_mean_field(name: str, known: Collection[str]) -> str:
    """`did_you_mean` for a field of a body; also recognizes the field names of the first prototype."""
    renamed = _RENAMED.get(name.replace("_", "").lower(), ())
    return next((f" Did you mean '{field}'?" for field in renamed if field in known), None) or did_you_mean(name, known)
