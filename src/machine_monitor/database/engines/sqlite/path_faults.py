"""Why the path of a database cannot be used: sentences that say more than SQLite's "unable to open database file"."""

import os
import stat
from pathlib import Path

_RIGHTS = "Change its permissions, run the command as its owner, or choose another file with MM_DATABASE_URL."


def find(path: Path) -> str | None:
    """Return what is wrong with the path and what to do, in one line; None if it can be opened or created."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _find_in_folder(path.parent)
    except NotADirectoryError:
        return f"{_nearest(path.parent)} is a file, not a folder. Correct the path."
    except PermissionError:
        return f"this user may not look into the folder {_nearest(path.parent)}. {_RIGHTS}"
    except OSError as error:
        return f"{error.strerror}."
    return _find_in_file(path, mode)


def _find_in_file(path: Path, mode: int) -> str | None:
    if stat.S_ISDIR(mode):
        return f"it is a folder. Name a file in it, such as {path / 'machine-monitor.db'}."
    if not stat.S_ISREG(mode):
        return "it is not a file. Correct the path."
    if not os.access(path, os.R_OK):
        return f"this user may not read the file. {_RIGHTS}"
    if why_read_only(path) and (sidecar := _unapplied_changes(path)):
        return (
            f"{sidecar} has changes that SQLite must first write into the file, which is read-only here. "
            "Copy both to a folder that can be written."
        )
    return None


def why_read_only(path: Path) -> str | None:
    """Return why an existing database can be read but not written; None if it can be written, or if there is none."""
    resolved = Path(os.path.realpath(path))
    if not os.path.exists(resolved):  # noqa: PTH110 -- False without the right to look
        return None
    # A writer also needs files beside the database.
    return next((why_not_writable(each) for each in (resolved, resolved.parent) if not os.access(each, os.W_OK)), None)


def _unapplied_changes(path: Path) -> Path | None:
    """Return the file beside a database with changes that no process is applying; None if there is none."""
    resolved = Path(os.path.realpath(path))
    wal, shm, journal = (resolved.with_name(resolved.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    if wal.exists() and wal.stat().st_size and not shm.exists():
        return wal
    return journal if journal.exists() and journal.stat().st_size else None


def _find_in_folder(folder: Path) -> str | None:
    """Return why no file can be created in a folder; None if it can."""
    if not folder.exists():
        return f"the folder {folder} does not exist. Create it, or correct the path."
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{why_not_writable(folder)}. {_RIGHTS}"
    return None


def why_not_writable(path: Path) -> str:
    """Return why a file or folder cannot be written, as the rest of a sentence."""
    kind = "folder" if path.is_dir() else "file"
    if os.name == "posix" and os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"the {kind} {path} is on a read-only medium"
    return f"this user may not write to the {kind} {path}"


def _nearest(path: Path) -> Path:
    """Return the part of a path that cannot be passed: the last one that can be looked at."""
    for each in (path, *path.parents):
        try:
            each.stat()
        except OSError:
            continue
        return each
    return path
