"""Sentences for errors of PostgreSQL: what happened, and what to do about it."""

import re

import psycopg

# One attempt to connect, in libpq's message; with several hosts there are several.
_ATTEMPT = re.compile(r'connection to server (?:at|on socket) "(.*?)"(?:, port (\d+))? failed: (?:FATAL: +)?(.+)')
_PSYCOPG_PREFIX = re.compile(r"^connection (?:failed|is bad): ")
# By SQLSTATE, which does not depend on the server's language. A failed connection has none.
BY_STATE = {
    "42501": "Grant the right to the user of the URL, or let that user own the database and its tables.",
    "3F000": "Its search_path names no schema that exists. Create the schema, or correct the search_path.",
    "25006": "Use the URL of a server that accepts writes.",
}
BY_WORDS = (
    ("authentication failed|no password supplied", "Check the user name and the password."),
    ("role .* does not exist", "Create this user with createuser, or correct the URL."),
    ("database .* does not exist", "Create it: createdb --encoding UTF8 --template template0 NAME"),
    ("permission denied for database", "Grant the right: GRANT CONNECT ON DATABASE ... TO ..."),
    (
        "unsupported startup parameter: options",
        "A pooler refuses settings of the server: remove `options` from the URL.",
    ),
    ("statement pooling mode", "Set `pool_mode` of the pooler to transaction or session."),
    ("Connection refused|No such file", "Check that the server is running there, and its port."),
    ("resolve host|could not translate host", "Check the name of the host."),
    ("not in hot standby|read-only|is in hot standby", "No server has the `target_session_attrs` of the URL."),
)


def explain(error: psycopg.Error) -> str:
    """Return what happened and what to do, in one line; without values of records."""
    reason = (error.diag.message_primary or _reason_of_connection(error)).rstrip(".")
    advice = BY_STATE.get(error.sqlstate or "") or next(
        (advice for words, advice in BY_WORDS if re.search(words, reason)), ""
    )
    return f"{reason}. {advice}".rstrip()


def _reason_of_connection(error: psycopg.Error) -> str:
    first, several, text = str(error).partition("All failures were:")
    text = text if several else first
    attempts = {f"{host}, port {port}" if port else host: reason for host, port, reason in _ATTEMPT.findall(text)}
    if attempts:
        return "; ".join(f"{reason} ({place})" for place, reason in attempts.items())
    return _PSYCOPG_PREFIX.sub("", text.strip()).partition("\n")[0]
