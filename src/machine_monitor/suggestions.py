"""What somebody may have meant."""

import difflib
from collections.abc import Collection, Iterable

# What the first prototype called a field, and what the API calls it: a log's name for it, then another resource's.
# docs/prototype.md shows the same table to people.
PROTOTYPE_FIELDS = {
    "machineName": ("machine", "name"),
    "timeStamp": ("started_at",),
    "userName": ("user", "trigram"),
    "firstName": ("first_name",),
    "lastName": ("last_name",),
    "authorisation": ("role",),
}
_WHATEVER_CASE = {name.lower(): fields for name, fields in PROTOTYPE_FIELDS.items()}
# A longer name resembles none of ours, and comparing it would take long.
MAX_LENGTH = 64


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that names the most similar of the known names, after a blank; empty if none is similar."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def nearest_field(name: str, known: Collection[str]) -> str:
    """`nearest` for a field of a body, which may have the name that the first prototype gave it."""
    if len(name) > MAX_LENGTH:
        return ""
    renamed = _WHATEVER_CASE.get(name.replace("_", "").lower(), ())
    return next((f" Did you mean '{field}'?" for field in renamed if field in known), None) or nearest(name, known)
