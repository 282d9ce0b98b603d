"""Password rules and hashing."""

import asyncio

import pytest

from machine_monitor.errors import Invalid
from machine_monitor.services.accounts import passwords

ABOUT = ["ADM", "Zoé", "Lefèvre-Martin", None]
BAD = [
    "",
    "fourteen signs",
    "x" * 201,
    "aaaaaaaaaaaaaaaaaaaa",
    "abcabcabcabcabcabc",
    "123456789012345",
    "abcdefghijklmnop",
    "zyxwvutsrqponmlk",
    "azertyuiopqsdfghjklm",
    "qwertyuiop[]asdf",
    "password12345678",
    "Password-Password-1!",
    "MOT DE PASSE mot de passe",
    "correct horse battery staple",
    "machine monitor 2026",
    "Machine-Monitor-ADM",
    "Lefèvre-Martin Zoé",
    "lefevre martin 1234",
    "zoezoezoezoezoe!",
    "1q2w3e4r5t6y7u8i"[:12] + "1q2",
    "iloveyou iloveyou",
    "Administrateur01",
]
GOOD = [
    "trois vaches bleues",
    "un autre long secret",
    "the river froze in may",
    "Zoé mange des pommes",
    "9f2c1e7ab4d8036",
    "(&é\"'(-è_çà)=$ù*",
    "纸飞机飞过蓝色的山谷和安静的河",
    "je fume 12 pipes",
    "x" * 3 + "kzvpqwmbtr" + "y" * 3,
]


@pytest.mark.parametrize("password", BAD)
def test_a_guessable_password_is_refused_and_not_echoed(password):
    with pytest.raises(Invalid) as refused:
        passwords.check(password, ABOUT)
    assert refused.value.faults[0].pointer == "/password"
    assert not password or password not in refused.value.detail


@pytest.mark.parametrize("password", GOOD)
def test_any_other_password_of_fifteen_characters_is_accepted(password):
    passwords.check(password, ABOUT)


async def test_a_password_is_hashed_with_argon2id_after_unicode_normalization():
    stored_hash = await passwords.hash_in_thread("où est passée la clé")
    parameters = "$argon2id$v=19$m=19456,t=2,p=1$"
    assert stored_hash.startswith(parameters)
    # Timing does not reveal whether an account has a password.
    assert passwords.DUMMY_HASH.startswith(parameters)
    assert await passwords.verify("ou\u0300 est passe\u0301e la cle\u0301", stored_hash)
    assert not await passwords.verify("ou est passee la cle", stored_hash)
    assert not await passwords.verify("nobody has this password", None)


async def test_two_passwords_are_hashed_at_a_time_without_blocking_other_requests(monkeypatch):
    running, most = [], []

    def slow(*_):
        running.append(1)
        most.append(len(running))
        import time  # noqa: PLC0415 -- a stand-in for argon2

        time.sleep(0.02)
        running.pop()
        return True

    monkeypatch.setattr(passwords._HASHER, "verify", slow)
    waiting = [asyncio.create_task(passwords.verify("x", "y")) for _ in range(8)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert max(most) == 2
