"""Share a limited resource fairly among users: in turns (round-robin), and at most half for one while others wait.

See docs/internals/fair-sharing.md.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import Generic, TypeVar

from machine_monitor.errors import DatabaseBusy, Problem

T = TypeVar("T")
# The user of work that no user asked for, such as an authentication or an update in the background.
SYSTEM = ""
# A user is alone if no other one has come for so long.
ALONE_SECONDS = 1.0


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
    """Knows which user is alone: no other one has come for ALONE_SECONDS."""

    def __init__(self) -> None:
        # The times of two users are enough.
        self._latest: Hashable = None
        self._latest_at = self._other_at = -inf

    def add(self, user: Hashable) -> None:
        """Note that a user has come now."""
        if user != self._latest:
            self._latest, self._other_at = user, self._latest_at
        self._latest_at = monotonic()

    def is_alone(self, user: Hashable) -> bool:
        """Whether no user but this one has come lately."""
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
        """Give this user no further slot for so long. Users must not rest twice at a time."""
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


class FairTurns:
    """Lets each user start one task in an iteration of the event loop; a user who is alone starts all at once.

    A task that has waited for a result continues in a later iteration. So without turns, each of its steps would wait
    for all the tasks that another user had started meanwhile.
    """

    def __init__(self) -> None:
        self._users = RecentUsers()
        # The users who have started a task in this iteration, with those that have to wait for the next ones.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def turn(self, user: Hashable) -> None:
        """Return when this user may start a task: at once, or in a later iteration."""
        self._users.add(user)
        if user in self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting[user].append(turn)
            await turn
        elif not self._users.is_alone(user):
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._serve)
            self._waiting[user] = deque()

    def _serve(self) -> None:
        """Begin an iteration: let one waiting task of each user start, or all of a user who is alone."""
        waiting, self._waiting = self._waiting, {}
        for user, turns in waiting.items():
            is_alone = self._users.is_alone(user)
            while turns:
                turn = turns.popleft()
                if not turn.done():  # its task was cancelled
                    turn.set_result(None)
                    if not is_alone:
                        self._waiting[user] = turns
                        break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._serve)
