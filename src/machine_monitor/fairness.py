"""Share a limited resource fairly among users: in turns (round-robin), and at most half for one while others wait.

See docs/internals/fair-sharing.md.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import Generic, TypeVar

from machine_monitor.errors import DatabaseBusy, Problem

T = TypeVar("T")
# The user of work that no user asked for, such as an authentication or an update in the background.
SYSTEM = ""
# A user is alone if no other user has sent a request for this many seconds.
ALONE_SECONDS = 1.0
# The longest rest after a function of `FairThread`. Its callers stop waiting for their turn after 5 seconds.
MAX_REST_SECONDS = 0.5


class FairQueue(Generic[T]):
    """The waiting items of many users, served in turns: one item of each user, in the order of their arrival."""

    def __init__(self) -> None:
        # In the order of the next turns.
        self._items: dict[str, deque[T]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def users(self) -> list[str]:
        """The users with waiting items, in the order of their turns."""
        return [*self._items]

    def add(self, user: str, item: T) -> None:
        """Append an item to those of its user."""
        self._items.setdefault(user, deque()).append(item)
        self._size += 1

    def take(self, user: str | None = None) -> tuple[str, T]:
        """Remove and return the next item and its user: by default, of the user whose turn it is."""
        user = next(iter(self._items)) if user is None else user
        items = self._items.pop(user)
        item = items.popleft()
        self._size -= 1
        if items:
            self._items[user] = items
        return user, item

    def discard(self, user: str, item: T) -> None:
        """Remove an item that may be waiting."""
        items = self._items.get(user, deque())
        if item in items:
            items.remove(item)
            self._size -= 1
            if not items:
                del self._items[user]


class RecentUsers:
    """Remembers the times of the last request and of the last one of another user, to tell if a user is alone."""

    def __init__(self) -> None:
        self._latest = SYSTEM
        self._latest_at = self._other_at = -inf

    def add(self, user: str) -> None:
        """Note that a user sends a request now."""
        if user != self._latest:
            self._latest, self._other_at = user, self._latest_at
        self._latest_at = monotonic()

    def is_alone(self, user: str) -> bool:
        """Whether no other user has sent a request for ALONE_SECONDS."""
        return monotonic() - (self._other_at if user == self._latest else self._latest_at) >= ALONE_SECONDS


class FairSemaphore:
    """A semaphore whose slots many users share.

    - A user who is alone may hold all slots.
    - Slots that a user holds beyond half of them are borrowed: they do not count against other users, who never wait
      for them. So at most 1.5 x `slots` are in use.
    - Users who wait are served in turns; one who holds half of the slots waits until the others have been served.
    """

    def __init__(self, slots: int, busy: Callable[[], Problem] = DatabaseBusy) -> None:
        self._slots = slots
        # Makes the problem for a user who has waited too long for a slot.
        self._busy = busy
        # Half of them, rounded up: otherwise a third user could borrow, too.
        self._share = (slots + 1) // 2
        self._held: Counter[str] = Counter()
        # The sum of what the users hold, each counted up to its share.
        self._claimed = 0
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()
        self._resting: set[str] = set()

    @property
    def capacity(self) -> int:
        """The most slots that can be in use at once, borrowed ones included."""
        return 2 * self._slots - self._share

    @property
    def utilization(self) -> tuple[int, int]:
        """How many slots are in use, and how many tasks are waiting for one."""
        return self._held.total(), len(self._waiting)

    def held_by(self, user: str) -> int:
        """Return how many slots a user holds."""
        return self._held[user]

    def try_acquire(self, user: str, slots: int = 1) -> bool:
        """Take slots if they are free for this user."""
        if not self._is_free_for(user, slots):
            return False
        self._hold(user, slots)
        return True

    def acquire_at_once(self, user: str) -> bool:
        """Take one slot if it is free for this user and nobody waits."""
        return not self._waiting and self.try_acquire(user)

    async def acquire(self, user: str) -> None:
        """Take one slot, as soon as it is this user's turn."""
        if self.acquire_at_once(user):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.add(user, turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.discard(user, turn)
            if turn.done() and not turn.cancelled():
                self.release(user)
            raise

    def release(self, user: str, slots: int = 1) -> None:
        """Give slots back, and serve the users who wait."""
        self._hold(user, -slots)
        self._serve()

    def rest(self, user: str, seconds: float) -> None:
        """Give this user no slot for so many seconds. Only for a semaphore of one slot, which the user holds."""
        self._resting.add(user)
        asyncio.get_running_loop().call_later(seconds, self._end_rest, user)

    @asynccontextmanager
    async def slot(self, user: str, wait_seconds: float) -> AsyncGenerator[None]:
        """Hold one slot; raises the problem of this semaphore if it is not the user's turn in time."""
        try:
            async with asyncio.timeout(wait_seconds):
                await self.acquire(user)
        except TimeoutError:
            raise self._busy() from None
        try:
            yield
        finally:
            self.release(user)

    def _is_free_for(self, user: str, slots: int = 1) -> bool:
        if user in self._resting:
            return False
        held = self._held[user]
        return self._claimed - min(held, self._share) + held + slots <= self._slots

    def _hold(self, user: str, slots: int) -> None:
        before = self._held[user]
        self._held[user] = after = before + slots
        self._claimed += min(after, self._share) - min(before, self._share)
        if not after:
            del self._held[user]

    def _end_rest(self, user: str) -> None:
        self._resting.discard(user)
        self._serve()

    def _serve(self) -> None:
        while users := [user for user in self._waiting.users if self._is_free_for(user)]:
            user, turn = self._waiting.take(min(users, key=lambda user: self._held[user] >= self._share))
            if not turn.done():
                self._hold(user, 1)
                turn.set_result(None)


class FairThread:
    """Runs functions that compute in a thread, one at a time: the event loop competes with it for Python's lock (GIL).

    After a function its user rests as long as it took, at most MAX_REST_SECONDS, unless the user is alone. So while
    other users send requests, the functions of one user usually run at most half of the time.
    """

    def __init__(self) -> None:
        self._slots = FairSemaphore(1)
        self._users = RecentUsers()

    def note_request(self, user: str) -> None:
        """Note that a user has sent a request: other users are not alone now."""
        self._users.add(user)

    async def run(self, user: str, wait_seconds: float, function: Callable[[], T]) -> T:
        """Run a function and return its result; raises `DatabaseBusy` if it is not the user's turn in time."""
        seconds = 0.0

        def run() -> T:
            nonlocal seconds
            began = monotonic()
            try:
                return function()
            finally:
                seconds = monotonic() - began

        async with self._slots.slot(user, wait_seconds):
            try:
                return await asyncio.to_thread(run)
            finally:
                if not self._users.is_alone(user):
                    self._slots.rest(user, min(seconds, MAX_REST_SECONDS))


class FairTurns:
    """Lets each client start one task in an iteration of the event loop, on average; one that is alone starts all.

    A task that has waited for a result continues in a later iteration. So without turns, each of its steps would wait
    for all the tasks that another client had started meanwhile.
    """

    def __init__(self) -> None:
        self._clients = RecentUsers()
        # For each client that has just started a task: its tasks that wait.
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}

    async def wait_for_turn(self, client: str) -> None:
        """Wait until this client may start a task: now, or in a later iteration."""
        self._clients.add(client)
        if client in self._queues:
            turn = asyncio.get_running_loop().create_future()
            self._queues[client].append(turn)
            await turn
        elif not self._clients.is_alone(client):
            if not self._queues:
                asyncio.get_running_loop().call_soon(self._serve)
            self._queues[client] = deque()

    def _serve(self) -> None:
        """Let one waiting task of each client start, or all of a client that is alone."""
        queues, self._queues = self._queues, {}
        for client, queue in queues.items():
            is_alone = self._clients.is_alone(client)
            while queue:
                turn = queue.popleft()
                if not turn.done():  # its task was cancelled
                    turn.set_result(None)
                    if not is_alone:
                        self._queues[client] = queue
                        break
        if self._queues:
            asyncio.get_running_loop().call_soon(self._serve)
