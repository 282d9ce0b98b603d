"""Compare definitions of schema objects by their tokens: DDL of the models with what a database has stored.

White space, comments, the quotes and the case of names, and the order of columns and constraints do not matter. Neither
do default values that are literals: migrations use them to add columns, and every INSERT names all columns.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# A definition is a text of tokens, separated by blanks.
Definition = str
CONSTRAINT_WORDS = frozenset({"constraint", "check", "unique", "primary", "foreign"})
_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)
    |\$(?P<tag>\w*)\$(?P<body>.*?)\$(?P=tag)\$
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<word>\w+)
    |(?P<sign>>=|<=|<>|!=|\|\||::|.)""",
    re.VERBOSE | re.DOTALL,
)
_LITERAL = re.compile(r"'.*'|-|[\d.]+|true|false|null", re.DOTALL)


class SchemaObject(NamedTuple):
    """The identity of a schema object, such as ("trigger", "history_update") or ("column", "logs.comment")."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Name the object in a sentence."""
        return f"{self.kind} {self.name}"


Objects = Mapping[SchemaObject, Definition]


def tokens(sql: str) -> list[str]:
    """Split SQL into tokens: names unquoted and in lower case, the body of a function as one token."""
    words = []
    for match in _TOKEN.finditer(sql):
        text = match.group()
        if match.lastgroup == "name":
            words.append(text[1:-1].lower())
        elif match["body"] is not None:
            words.append(" ".join(match["body"].split()))
        elif match["blank"] is None:
            words.append(text if match["text"] else text.lower())
    return words


def definition(words: Sequence[str]) -> Definition:
    """Join tokens to a definition."""
    return " ".join(words)


def table_parts(sql: str) -> tuple[list[list[str]], list[str]]:
    """Split CREATE TABLE into the tokens of its columns and constraints, and its options."""
    words = tokens(sql)
    start = words.index("(")
    parts: list[list[str]] = [[]]
    depth = 0
    for position in range(start, len(words)):
        word = words[position]
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return parts, words[position + 1 :]
        if word == "," and depth == 1:
            parts.append([])
        elif position > start:
            parts[-1].append(word)
    return parts, []


def constraint(table: str, words: Sequence[str]) -> SchemaObject:
    """Return the identity of a constraint: what it says. Its name depends on the migration that made it."""
    return SchemaObject("constraint", f"{definition(words)} of {table}")


def without_literal_default(words: Sequence[str]) -> list[str]:
    """Remove `DEFAULT` and its value from a column, if the value is a literal, which may have a cast."""
    if "default" not in words:
        return [*words]
    start = words.index("default")
    end = start + 1
    while end < len(words) and (_LITERAL.fullmatch(words[end]) or words[end] == "::" or words[end - 1] == "::"):
        end += 1
    return [*words[:start], *words[end:]] if end > start + 1 else [*words]
