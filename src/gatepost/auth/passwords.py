"""Passwords against their argon2id hashes: in threads, so many at a time.

Theory of operation: a check takes tens of milliseconds and, by its hash, 64 MiB: that is what makes
it hard to guess by the million, and what makes a flood of them an attack. So there are as many
threads as may check at a time, and WAITING times as many may wait for one; whoever comes beyond
that is turned away with `BusyError`, which costs nothing.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from gatepost.auth.users import User
from gatepost.wire.sasl.prepare import prepare_password
from gatepost.wire.sasl.verifier import SALT_SIZE, Verifier

# Half a second of waiting where a check takes a tenth.
WAITING = 5


class BusyError(Exception):
    """Too many passwords are being checked already."""


class PasswordChecker:
    """Checks `at_a_time` passwords at a time. The threads are made when they are needed."""

    def __init__(self, at_a_time: int) -> None:
        self._at_a_time = at_a_time
        self._places = threading.BoundedSemaphore(at_a_time * (1 + WAITING))
        self._threads: ThreadPoolExecutor | None = None

    async def check(self, hashed: str, password: str) -> bool:
        """Return whether a (prepared) password is that of the hash. Raises `BusyError`."""
        if not self._places.acquire(blocking=False):
            raise BusyError
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._at_a_time, "gatepost-passwords")
        work = self._threads.submit(verify_password, hashed, password)
        # the place is free when the work has ended, whether or not anybody still waits for it
        work.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Check no more; what is under way comes to its end by itself."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def verify_password(hashed: str, password: str) -> bool:
    """Return whether a (prepared) password is that of the hash; takes long."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - only who has users needs it
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - likewise

    try:
        return PasswordHasher().verify(hashed, password)
    except VerificationError:
        return False


def make_user(name: str, password: bytes, salt: bytes) -> User:
    """Return a user with this password; takes long. Raises `SaslError`.

    `salt` are SALT_SIZE octets nobody can guess.
    """
    from argon2 import PasswordHasher  # noqa: PLC0415 - only who has users needs it

    assert len(salt) == SALT_SIZE
    prepared = prepare_password(password)
    return User(name, PasswordHasher().hash(prepared), Verifier.make(prepared, salt))
