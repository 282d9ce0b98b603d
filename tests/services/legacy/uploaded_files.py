"""A small folder of the legacy tool, as files, as ZIP archives and as an SQLite file."""

import io
import json
import sqlite3
import zipfile
from contextlib import closing

MACHINE_COLUMNS = "name text primary key, sector text, in_service text"
LOG_COLUMNS = "uuid text primary key, machineName text, type text, timeStamp text, userName text, comment text"
USER_COLUMNS = "trigram text primary key, token text, first_name text, last_name text, authorisation text"
UUID = "5b0e9d06-7ad5-4a6d-8cf5-2d7f6f1f0c{:02}"


def log(number, **members):
    return {
        "machineName": "Tour é",
        "type": "error",
        "timeStamp": f"2025_07_{1 + number % 28:02}__10_00_00",
        "userName": "abc",
        "comment": f"Noise {number}",
        **members,
    }


def files(logs=3, **others):
    """Return the files of a folder: a machine, a person, logs (one names a machine without a file), and one other."""
    found = {
        "machines/Tour é.json": {"sector": "1A", "in_service": "Oui", "colour": "green"},
        "employs/anne brun.json": {"trigram": "abc", "authorisation": "user", "token": "secret"},
        **{f"logs/{UUID.format(number)}.json": log(number) for number in range(1, logs + 1)},
        f"logs/{UUID.format(98)}.json": log(8, machineName="Press"),
        f"logs/{UUID.format(99)}.json": log(9, timeStamp="2025_02_31__10_00_00"),
        "logs/.temp/abc/2025_07_01__10_00_00.json": {"comment": "a draft"},
        "machines/notes.txt": {},
        **others,
    }
    return {name: json.dumps(members, ensure_ascii=False).encode() for name, members in found.items()}


def as_folder(path, content):
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(content, prefix="", compression=zipfile.ZIP_DEFLATED):
    """Return an archive; a name may be a `ZipInfo`."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(f"{prefix}{name}" if isinstance(name, str) else name, data)
    return made.getvalue()


def as_database(path, *, logs=3, statements=()):
    """Return an SQLite file with the records of `files`."""
    tables = {"machines": MACHINE_COLUMNS, "logs": LOG_COLUMNS, "employs": USER_COLUMNS}
    with closing(sqlite3.connect(path)) as connection:
        for name, columns in tables.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        connection.execute("INSERT INTO machines VALUES ('Tour é', '1A', 'Oui')")
        connection.execute("INSERT INTO employs VALUES ('abc', 'secret', NULL, NULL, 'user')")
        for number in range(1, logs + 1):
            values = (UUID.format(number), *log(number).values())
            connection.execute(f"INSERT INTO logs VALUES ({', '.join('?' * len(values))})", values)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path.read_bytes()
