"""Reading the legacy tool's records, from its folder or its SQLite file, each once and without any token."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NoReturn

from machine_monitor.errors import UsageError

Kind = Literal["machines", "logs", "employs"]
# Tables, their key columns, and folders of the same names.
KEYS: dict[Kind, str] = {"machines": "name", "logs": "uuid", "employs": "trigram"}
DRAFTS = ".temp"


@dataclass(frozen=True, slots=True)
class Raw:
    """One record as it was read; `fault` is the code and the sentence of why it has no `members`."""

    kind: Kind
    file: str
    stem: str
    text: str = ""
    members: dict[str, Any] | None = None
    fault: tuple[str, str] | None = None
    draft: bool = False


def records(source: Path, *, drafts: bool = False) -> Iterator[Raw | None]:
    """Every record of a legacy folder or SQLite file, None for a file that is none; raises `UsageError`."""
    if source.is_dir():
        folders = [kind for kind in KEYS if (source / kind).is_dir()]
        if not folders:
            raise UsageError(f"{source} is no legacy folder: it has none of machines, logs and employs.")
        for kind in folders:
            yield from _folder(source / kind, kind)
        if drafts and (source / "logs" / DRAFTS).is_dir():
            yield from _drafts(source / "logs" / DRAFTS)
    elif source.is_file():
        yield from _database(source)
    else:
        raise UsageError(f"There is no folder and no file {source}.")


def parse(text: str) -> tuple[dict[str, Any], str]:
    """The members of a JSON object and its text, both without a token; raises `ValueError` with the reason."""
    dropped: list[str] = []

    def members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        kept = dict(pairs)
        secret = [key for key in kept if key.lower() == "token"]
        dropped.extend(secret)
        return {key: value for key, value in kept.items() if key not in secret}

    try:
        found = json.loads(text, object_pairs_hook=members, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"It is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise ValueError("It cannot be read: a number is out of range, or it is nested too deeply.") from None
    if not isinstance(found, dict):
        raise ValueError("It is not a JSON object.")  # noqa: TRY004 -- one kind of error for whatever a file holds
    # Once a token was in it, the text is written anew; ASCII, since a lone surrogate may be in it.
    return found, json.dumps(found) if dropped else text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _folder(folder: Path, kind: Kind) -> Iterator[Raw | None]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=attrgetter("name"))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}.") from error
    for entry in entries:
        path = Path(entry)
        if entry.is_file() and path.suffix.lower() == ".json":
            yield _file(path, kind, path.stem, f"{kind}/{path.name}")
        elif not (kind == "logs" and path.name == DRAFTS):
            yield None


def _drafts(folder: Path) -> Iterator[Raw | None]:
    """A draft is named by its author's folder and its time."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix.lower() != ".json":
            yield None
            continue
        place = path.relative_to(folder).as_posix()
        raw = _file(path, "logs", f"{DRAFTS}/{place[: -len('.json')]}", f"logs/{DRAFTS}/{place}")
        author = path.parent.name if path.parent != folder else None
        members = None if raw.members is None else {"timeStamp": path.stem, "userName": author} | raw.members
        yield Raw(raw.kind, raw.file, raw.stem, raw.text, members, raw.fault, draft=True)


def _file(path: Path, kind: Kind, stem: str, shown: str) -> Raw:
    # A name that is not UTF-8 has lone surrogates, which neither a report nor a database takes.
    if not stem.isascii() and any("\ud800" <= character <= "\udfff" for character in stem):
        shown = shown.encode(errors="replace").decode()
        return Raw(kind, shown, stem, fault=("file-name", "The file's name is not UTF-8."))
    try:
        return _parsed(kind, shown, stem, path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        return Raw(kind, shown, stem, fault=("unreadable", f"It cannot be read: {error.strerror}."))
    except UnicodeDecodeError:
        return Raw(kind, shown, stem, fault=("bad-json", "It is not JSON: it is not UTF-8."))


def _parsed(kind: Kind, shown: str, stem: str, text: str) -> Raw:
    try:
        members, text = parse(text)
    except ValueError as error:
        return Raw(kind, shown, stem, fault=("bad-json", str(error)))
    return Raw(kind, shown, stem, text, members)


def _database(source: Path) -> Iterator[Raw]:
    try:
        with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = _text
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")} & set(KEYS)
            if not tables:
                raise UsageError(f"{source} has none of the tables machines, logs and employs.")
            for kind, key in KEYS.items():
                if kind in tables:
                    yield from _table(connection, kind, key)
    except sqlite3.Error as error:
        raise UsageError(f"{source} cannot be read as an SQLite file: {error}.") from None


def _table(connection: sqlite3.Connection, kind: Kind, key: str) -> Iterator[Raw]:
    rows = connection.execute(f"SELECT * FROM {kind} ORDER BY {key}")
    columns = [column[0] for column in rows.description]
    for row in rows:
        members = dict(
            zip(columns, [_text(value) if isinstance(value, bytes) else value for value in row], strict=True)
        )
        # A name or uuid is what a file's name is in a folder; a trigram stands inside the file.
        stem = members.get(key) if kind == "employs" else members.pop(key, None)
        stem = "" if stem is None else str(stem)
        yield _parsed(kind, f"{kind}/{stem}", stem, json.dumps(members, ensure_ascii=False))


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
