"""Passwords: strength rules, and hashing with argon2id, a slow hash that makes brute force expensive."""

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
from machine_monitor.query.language.folding import fold

MIN_PASSWORD = 15
# The number of characters that a password must have besides common words, repeats and sequences.
MIN_UNGUESSABLE = 8
# OWASP's second recommendation, https://cheatsheetseries.owasp.org: 19 MiB, two passes, one lane.
_HASHER = PasswordHash([Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)])
# A dummy hash with the usual parameters, verified for unknown users. It prevents a timing attack (user enumeration).
DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$7wkrtotRCrZG9RdGPOspqA$hXW1w1p3oOBYE91+1S40zFovgJ1MyoXPZ6UzVT4MNEM"
# Each hash takes 20 ms of CPU and 19 MiB; two at a time leave capacity for other requests.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="password")
# Case-folded. Most long passwords in leaked lists are these words plus a few characters.
_WORDS = """
    machinemonitor password passwort motdepasse contrasena changeme letmein welcome bonjour jetaime iloveyou secret
    administrator administrateur supervisor operator correcthorsebatterystaple football baseball sunshine superman
    azerty qwerty qwertz 1q2w3e4r5t6y 1qaz2wsx3edc 1q2w3e4r 1qaz2wsx q1w2e3r4 zaq12wsx
"""
COMMON = frozenset(_WORDS.split())
SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "azertyuiop", "qsdfghjklm", "wxcvbn", "qwertyuiop", "yxcvbnm")
# This many characters in alphabet or keyboard order count as a sequence.
SEQUENCE_LENGTH = 4
SEQUENCE_PARTS = {
    way[i : i + SEQUENCE_LENGTH]
    for run in SEQUENCES
    for way in (run, run[::-1])
    for i in range(len(way) - SEQUENCE_LENGTH + 1)
}
T = TypeVar("T")


def check(password: str, personal_words: Iterable[str | None], pointer: str = "/password") -> None:
    """Raise `Invalid` if a password is too short, too long or too easy to guess.

    `personal_words` are the user's trigram and names, which anyone may know.
    """
    if not MIN_PASSWORD <= len(_normal(password)) <= MAX_PASSWORD:
        message = f"A password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters. A few random words are enough."
        raise invalid([Fault(message, "password", pointer)])
    if len(_without_guessable_parts(password, personal_words)) < MIN_UNGUESSABLE:
        message = "Too common or too regular (keyboard runs, repeats, well-known phrases). Use a longer random phrase."
        raise invalid([Fault(message, "password", pointer)])


def hash_password(password: str) -> str:
    """Hash a password for storage; takes about 20 ms."""
    return _HASHER.hash(_normal(password))


async def hash_in_thread(password: str) -> str:
    """Run `hash_password` in a thread, so that the event loop can serve other requests."""
    return await _run_in_thread(hash_password, password)


async def verify(password: str, stored: str | None) -> bool:
    """Verify a password against its stored hash; takes the same time if the user has none."""
    return await _run_in_thread(_verify, password, stored)


def _verify(password: str, stored: str | None) -> bool:
    return _HASHER.verify(_normal(password), stored or DUMMY_HASH) and stored is not None


async def _run_in_thread(work: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *arguments)


def _normal(password: str) -> str:
    # Normalize: keyboards compose the same letter in different ways.
    return unicodedata.normalize("NFKC", password)


def _without_guessable_parts(password: str, personal_words: Iterable[str | None]) -> str:
    """Remove common and personal words, repeats and sequences from a password."""
    rest = _remove_separators(password)
    for word in sorted(
        {*COMMON, *(_remove_separators(word) for word in personal_words if word)}, key=len, reverse=True
    ):
        rest = rest.replace(word, "") if len(word) > 1 else rest
    # A repeated part (`abab`, `1111`) counts once; a sequence does not count at all.
    rest = re.sub(r"(.+?)\1+", r"\1", rest)
    regular = {
        i + k
        for i in range(len(rest))
        if rest[i : i + SEQUENCE_LENGTH] in SEQUENCE_PARTS
        for k in range(SEQUENCE_LENGTH)
    }
    return "".join(character for i, character in enumerate(rest) if i not in regular)


def _remove_separators(text: str) -> str:
    return re.sub(r"[\s_.,-]", "", fold(text))
