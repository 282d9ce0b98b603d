"""Read the records of the legacy tool from its folder. Tokens are removed."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NoReturn

from machine_monitor.errors import UsageError

Kind = Literal["machines", "logs", "employs"]
# The key columns by table; the folders have the same names as the tables.
KEYS: dict[Kind, str] = {"machines": "name", "logs": "uuid", "employs": "trigram"}
DRAFTS = ".temp"
# As much as a request may send. Records of the legacy tool have a few kilobytes.
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Raw:
    """One record as it was read. If it has no `members`, `fault` is the code and message of the reason."""

    kind: Kind
    file: str
    stem: str
    text: str = ""
    members: dict[str, Any] | None = None
    fault: tuple[str, str] | None = None
    draft: bool = False


def folder_records(source: Path, *, drafts: bool = False) -> Iterator[Raw | None]:
    """Yield every record of a legacy folder, and None for other files; raises `UsageError`."""
    folders = [kind for kind in KEYS if (source / kind).is_dir()]
    if not folders:
        raise UsageError(
            f"{source} is not a legacy folder: it contains none of the folders machines, logs and employs."
        )
    for kind in folders:
        yield from _folder(source / kind, kind)
    if drafts and (source / "logs" / DRAFTS).is_dir():
        yield from _drafts(source / "logs" / DRAFTS)


def parse(text: str) -> tuple[dict[str, Any], str]:
    """Return the members of a JSON object and its text, both without tokens; raises `ValueError` with the reason."""
    dropped_keys: list[str] = []

    def members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        all_members = dict(pairs)
        token_keys = [key for key in all_members if key.lower() == "token"]
        dropped_keys.extend(token_keys)
        return {key: value for key, value in all_members.items() if key not in token_keys}

    try:
        document = json.loads(text, object_pairs_hook=members, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"Not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise ValueError(
            "Not valid JSON: it contains NaN or Infinity, a number with too many digits, or too many nested levels."
        ) from None
    if not isinstance(document, dict):
        raise ValueError("Expected a JSON object.")  # noqa: TRY004 -- one type of error for any content of a file
    # If a token was removed, serialize again; as ASCII, because there may be unpaired surrogates.
    return document, json.dumps(document) if dropped_keys else text


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _folder(folder: Path, kind: Kind) -> Iterator[Raw | None]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=attrgetter("name"))
    except OSError as error:
        raise UsageError(f"Cannot read {folder}: {error.strerror}.") from error
    for entry in entries:
        path = Path(entry)
        if path.suffix.lower() == ".json" and _is_file(entry):
            yield _file(path, kind, path.stem, f"{kind}/{path.name}")
        elif not (kind == "logs" and path.name == DRAFTS):
            yield None


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link that cannot be followed, which is reported as an unreadable file."""
    try:
        return entry.is_file()
    except OSError:
        return True


def _drafts(folder: Path) -> Iterator[Raw | None]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix.lower() != ".json":
            yield None
            continue
        relative_path = path.relative_to(folder).as_posix()
        stem = f"{DRAFTS}/{relative_path[: -len('.json')]}"
        yield draft(_file(path, "logs", stem, f"logs/{DRAFTS}/{relative_path}"))


def draft(raw: Raw) -> Raw:
    """Return a record as a draft. A draft's folder is named after its author, and its file after its time."""
    _, *folders, name = raw.stem.split("/")
    author = folders[-1] if folders else None
    members = None if raw.members is None else {"timeStamp": name, "userName": author} | raw.members
    return replace(raw, members=members, draft=True)


def _file(path: Path, kind: Kind, stem: str, display_path: str) -> Raw:
    # Python represents non-UTF-8 names with unpaired surrogates, which reports and databases reject.
    if not stem.isascii() and any("\ud800" <= character <= "\udfff" for character in stem):
        display_path = display_path.encode(errors="replace").decode()
        return Raw(kind, display_path, stem, fault=("file-name", "The file name is not UTF-8."))
    try:
        with path.open("rb") as file:
            return parse_file(kind, display_path, stem, file.read(MAX_BYTES + 1))
    except OSError as error:
        return Raw(kind, display_path, stem, fault=("unreadable", f"The file cannot be read: {error.strerror}."))


def parse_file(kind: Kind, display_path: str, stem: str, content: bytes) -> Raw:
    """Parse the first MAX_BYTES + 1 bytes of a record's file."""
    if len(content) > MAX_BYTES:
        message = f"The file has more than {MAX_BYTES // 1024**2} MiB, so it is not one record."
        return Raw(kind, display_path, stem, fault=("too-large", message))
    try:
        return parse_record(kind, display_path, stem, content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Raw(kind, display_path, stem, fault=("bad-json", "Not valid JSON: the file is not UTF-8."))


def parse_record(kind: Kind, display_path: str, stem: str, text: str) -> Raw:
    """Parse the JSON text of a record."""
    try:
        members, text = parse(text)
    except ValueError as error:
        return Raw(kind, display_path, stem, fault=("bad-json", str(error)))
    return Raw(kind, display_path, stem, text, members)
