"""Run worker processes, a few at a time, and keep their leases alive."""

import asyncio
import logging
import sys
from contextlib import suppress

from machine_monitor.database.connect import Database
from machine_monitor.errors import MonitorError
from machine_monitor.services.imports.uploads import file_imports
from machine_monitor.services.imports.uploads.jobs import JOB, Job

logger = logging.getLogger(__name__)
COMMAND = ("-P", "-m", "machine_monitor.services.imports.uploads.worker")
# How many imports of a service process run at once; the others wait. Each may use a core, and 200 MB.
WORKERS = 2
RENEWAL_SECONDS = 15.0
# How long a service that stops waits for its workers to undo what they have written. The rest is undone at the next
# start.
STOP_SECONDS = 20.0
MAX_LOGGED_BYTES = 4_000


async def start_process() -> asyncio.subprocess.Process:
    """Start a worker process, which waits for its job."""
    pipe, devnull = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(sys.executable, *COMMAND, stdin=pipe, stdout=devnull, stderr=pipe)


class Workers:
    """The worker processes of a service. Once `is_closed`, none starts any more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(WORKERS)
        self.processes: set[asyncio.subprocess.Process] = set()
        self.is_closed = False

    async def run(self, job: Job) -> None:
        """Run a job in a process, when it is its turn. The row of the import has the outcome, unless it was killed."""
        renewing = asyncio.create_task(self._keep_alive(job))
        try:
            async with self._turns:
                if not self.is_closed:
                    await self._run(job)
        finally:
            renewing.cancel()

    async def close(self) -> None:
        """Stop all workers; wait some time for them to undo what they have written."""
        self.is_closed = True
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        if self.processes:
            await asyncio.wait([asyncio.create_task(each.wait()) for each in self.processes], timeout=STOP_SECONDS)
        for process in [*self.processes]:
            with suppress(ProcessLookupError):
                process.kill()

    async def _run(self, job: Job) -> None:
        process = await start_process()
        assert process.stdin is not None
        assert process.stderr is not None
        self.processes.add(process)
        try:
            with suppress(ConnectionError):
                process.stdin.write(JOB.dump_json(job) + b"\n")
                await process.stdin.drain()
            # Standard input stays open: its end stops the worker.
            said = await process.stderr.read()
            status = await process.wait()
        finally:
            self.processes.discard(process)
        if said or status:
            logger.warning(
                "the worker of import %s ended with status %d: %s",
                job.lease.id,
                status,
                said[-MAX_LOGGED_BYTES:].decode(errors="replace").strip(),
            )

    async def _keep_alive(self, job: Job) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            with suppress(MonitorError):
                await self._database.write(lambda tx: file_imports.keep_alive(tx, job.lease))
