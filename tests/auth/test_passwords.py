"""Passwords are checked in threads, and only so many at a time."""

import asyncio
import threading

import pytest
from tests.auth.samples import SALT, hashed

from gatepost.auth import passwords
from gatepost.auth.passwords import WAITING, BusyError, PasswordChecker, make_user, verify_password
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.verifier import Verifier


def test_a_user_is_made():
    made = make_user("alice", "pa\u0308ss".encode(), SALT)
    assert made.hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert verify_password(made.hash, "p\u00e4ss")
    assert not verify_password(made.hash, "secret")
    assert made.verifier == Verifier.make("p\u00e4ss", SALT)
    with pytest.raises(SaslError):
        make_user("alice", b"a\nb", SALT)


def test_a_hash_that_is_none_fits_no_password():
    assert not verify_password(hashed("secret")[:-3] + "!!!", "secret")


def test_right_and_wrong():
    async def main():
        checks = PasswordChecker(1)
        found = [await checks.check(hashed("secret"), one) for one in ("secret", "guess")]
        checks.close()
        return found

    assert asyncio.run(main()) == [True, False]


def test_nothing_to_close():
    PasswordChecker(1).close()


def test_a_flood(monkeypatch):
    """As many at a time as there may be, as many waiting, and the rest turned away at once."""
    at_a_time = 2
    running, most, gate = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(hashed, password):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert gate.wait(20)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(passwords, "verify_password", slow)

    async def main():
        checks = PasswordChecker(at_a_time)
        places = at_a_time * (1 + WAITING)
        tasks = [asyncio.create_task(checks.check("", "")) for _ in range(places)]
        await asyncio.sleep(0)
        for _ in range(1000):
            with pytest.raises(BusyError):
                await checks.check("", "")
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        with pytest.raises(BusyError):  # whoever has gone away still has a thread
            await checks.check("", "")
        gate.set()
        assert await asyncio.gather(*tasks[1:]) == [True] * (places - 1)
        assert await checks.check("", "")
        checks.close()

    asyncio.run(main())
    assert most == at_a_time
