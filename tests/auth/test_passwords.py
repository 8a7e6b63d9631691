"""Password checks: in threads, with a limit on concurrent and waiting checks."""

import asyncio
import threading

import pytest
from tests.auth.samples import SALT, hashed

from gatepost.auth import passwords
from gatepost.auth.passwords import WAITING, BusyError, PasswordChecker, make_user, verify_password
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.verifier import Verifier


def test_make_user_creates_both_hashes():
    made = make_user("alice", "pa\u0308ss".encode(), SALT)
    assert made.hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert verify_password(made.hash, "p\u00e4ss")
    assert not verify_password(made.hash, "secret")
    assert made.verifier == Verifier.make("p\u00e4ss", SALT)
    with pytest.raises(SaslError):
        make_user("alice", b"a\nb", SALT)


def test_a_damaged_hash_matches_no_password():
    assert not verify_password(hashed("secret")[:-3] + "!!!", "secret")


def test_only_the_right_password_matches():
    async def main():
        checker = PasswordChecker(1)
        found = [await checker.check(hashed("secret"), one) for one in ("secret", "guess")]
        checker.close()
        return found

    assert asyncio.run(main()) == [True, False]


def test_closing_an_unused_checker_raises_nothing():
    PasswordChecker(1).close()


def test_checks_beyond_the_limits_are_refused_at_once(monkeypatch):
    concurrency = 2
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
        checker = PasswordChecker(concurrency)
        capacity = concurrency * (1 + WAITING)
        tasks = [asyncio.create_task(checker.check("", "")) for _ in range(capacity)]
        await asyncio.sleep(0)
        for _ in range(1000):
            with pytest.raises(BusyError):
                await checker.check("", "")
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        with pytest.raises(BusyError):  # a cancelled check still occupies its thread
            await checker.check("", "")
        gate.set()
        assert await asyncio.gather(*tasks[1:]) == [True] * (capacity - 1)
        assert await checker.check("", "")
        checker.close()

    asyncio.run(main())
    assert most == concurrency
