"""Passwords: what makes a good one, and argon2id, which keeps what is guessed too slow to be worth it."""

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from machine_monitor.errors import Fault, invalid
from machine_monitor.models.accounts.sign_in import MAX_PASSWORD
from machine_monitor.query.language.search_terms import fold

MIN_PASSWORD = 15
# What a password has beside what is easily guessed: a word more, or a few signs.
MIN_REST = 8
# The second choice of OWASP's list, https://cheatsheetseries.owasp.org: 19 MiB, two passes, one lane.
_HASHER = PasswordHash([Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)])
# Made as all are, of a password that nobody has: who has none is to wait as long as who has.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$7wkrtotRCrZG9RdGPOspqA$hXW1w1p3oOBYE91+1S40zFovgJ1MyoXPZ6UzVT4MNEM"
# Each takes a processor for some 20 ms and 19 MiB: more at once would hold up everything else.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="password")
# Folded. With what surrounds them, these are most of the long passwords that were ever found out.
_WORDS = """
    machinemonitor password passwort motdepasse contrasena changeme letmein welcome bonjour jetaime iloveyou secret
    administrator administrateur supervisor operator correcthorsebatterystaple football baseball sunshine superman
    azerty qwerty qwertz 1q2w3e4r5t6y 1qaz2wsx3edc 1q2w3e4r 1qaz2wsx q1w2e3r4 zaq12wsx
"""
COMMON = frozenset(_WORDS.split())
RUNS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "azertyuiop", "qsdfghjklm", "wxcvbn", "qwertyuiop", "yxcvbnm")
# So many signs in such an order are no accident.
STEP = 4
STEPS = {way[i : i + STEP] for run in RUNS for way in (run, run[::-1]) for i in range(len(way) - STEP + 1)}
T = TypeVar("T")


def check(password: str, about: Iterable[str | None], pointer: str = "/password") -> None:
    """Raise the 422 of a password that is soon guessed; `about` are the words that anyone knows of its user."""
    if not MIN_PASSWORD <= len(_normal(password)) <= MAX_PASSWORD:
        message = f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters; a few words will do."
        raise invalid([Fault(message, "password", pointer)])
    if len(_rest(password, about)) < MIN_REST:
        message = "This password is among the first that are guessed: too little of it is neither known nor regular."
        raise invalid([Fault(message, "password", pointer)])


def hash_now(password: str) -> str:
    """What is kept of a password; takes a while."""
    return _HASHER.hash(_normal(password))


async def hash_beside(password: str) -> str:
    """`hash_now`, while others are served."""
    return await _beside(hash_now, password)


async def verify(password: str, stored: str | None) -> bool:
    """Whether this is the password that was kept; takes as long where there is none."""
    return await _beside(_verify, password, stored)


def _verify(password: str, stored: str | None) -> bool:
    return _HASHER.verify(_normal(password), stored or NOBODYS) and stored is not None


async def _beside(work: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *arguments)


def _normal(password: str) -> str:
    # Keyboards compose the same letter in different ways.
    return unicodedata.normalize("NFKC", password)


def _rest(password: str, about: Iterable[str | None]) -> str:
    """What is left of a password without what is easily guessed."""
    rest = _joined(password)
    for word in sorted({*COMMON, *(_joined(word) for word in about if word)}, key=len, reverse=True):
        rest = rest.replace(word, "") if len(word) > 1 else rest
    # What follows itself, as `abab` and `1111`, counts once; what stands in such an order counts nothing.
    rest = re.sub(r"(.+?)\1+", r"\1", rest)
    regular = {i + k for i in range(len(rest)) if rest[i : i + STEP] in STEPS for k in range(STEP)}
    return "".join(sign for i, sign in enumerate(rest) if i not in regular)


def _joined(text: str) -> str:
    return re.sub(r"[\s_.,-]", "", fold(text))
