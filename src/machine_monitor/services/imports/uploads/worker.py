"""The process that works on an import: `python -m machine_monitor.services.imports.uploads.worker`.

The job is a line of JSON on standard input, which stays open. When it ends, or on SIGTERM, the worker stops: it undoes
what it has written, and exits. So it never outlives its service by more than that. The outcome is in the row of the
import; the exit status says whether there is one.

It is a process, not a thread: parsing takes the interpreter's lock, behind which every request would wait.
"""

import _thread
import atexit
import gc
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress

from machine_monitor.errors import DatabaseBusy, DatabaseFault, InternalError, MonitorError, UsageError
from machine_monitor.services.imports.uploads.file_imports import LeaseLost
from machine_monitor.services.imports.uploads.jobs import JOB, STOPPED, Job, LeasedDatabase, NotUndone, describe
from machine_monitor.services.imports.uploads.tasks import TASKS

# Requests come first.
NICENESS = 5
# What parsing a table may need in memory. A hostile workbook ends this process, not the service.
MAX_MEMORY_BYTES = 3 * 1024**3
TOO_LARGE = "To read this file takes more memory than an import may use. Save it as CSV."
WITHOUT_OUTCOME = 3


def main() -> None:
    """Do one job."""
    # As in `cli/main`: the process ends half a second earlier.
    atexit.register(gc.freeze)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    job = JOB.validate_json(sys.stdin.readline())
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    _limit()
    database = LeasedDatabase(job.database_url, job.lease)
    try:
        TASKS[job.task](job, database)
    except (LeaseLost, NotUndone) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(WITHOUT_OUTCOME)
    except KeyboardInterrupt:
        _fail(job, database, DatabaseBusy(STOPPED))
    except MemoryError:
        _fail(job, database, UsageError(TOO_LARGE))
    except DatabaseFault as error:
        sys.stderr.write(f"{error}\n")
        _fail(job, database, InternalError())
    except MonitorError as error:
        _fail(job, database, error)
    except Exception:  # noqa: BLE001 -- the log has the details
        traceback.print_exc()
        _fail(job, database, InternalError())
    finally:
        database.close_writer()


def _fail(job: Job, database: LeasedDatabase, error: MonitorError) -> None:
    """Store why the job failed. An undo that failed is tried again."""
    if job.task == "undo":
        sys.stderr.write(f"{error}\n")
        sys.exit(WITHOUT_OUTCOME)
    database.finish(job.failed_state, {"problem": describe(error, job)}, done=0)


def _limit() -> None:
    with suppress(ImportError):  # Windows
        import resource  # noqa: PLC0415 -- only where it exists

        os.nice(NICENESS)
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _stop(*_: object) -> None:
    """Interrupt the work, once: undoing it must not be interrupted."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _stop_at_end_of_input() -> None:
    sys.stdin.read()
    _thread.interrupt_main(signal.SIGTERM)


if __name__ == "__main__":
    main()
