"""Password checks against argon2id hashes, in a bounded number of threads.

Theory of operation: by design, a check takes tens of milliseconds and 64 MiB. This makes guessing
expensive, and makes a flood of checks an attack. There are as many threads as concurrent checks are
allowed, and WAITING times as many checks may wait. Further checks raise `BusyError` at no cost.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from gatepost.auth.users import User
from gatepost.wire.sasl.prepare import prepare_password
from gatepost.wire.sasl.verifier import SALT_SIZE, Verifier

# Checks that may wait per thread: half a second if a check takes a tenth.
WAITING = 5


class BusyError(Exception):
    """Too many password checks are running or waiting."""


class PasswordChecker:
    """Runs up to `concurrency` password checks. Threads are created on demand."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._capacity = threading.BoundedSemaphore(concurrency * (1 + WAITING))
        self._threads: ThreadPoolExecutor | None = None

    async def check(self, hashed: str, password: str) -> bool:
        """Return whether a prepared password matches the hash; raises `BusyError`."""
        if not self._capacity.acquire(blocking=False):
            raise BusyError
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, "gatepost-passwords")
        work = self._threads.submit(verify_password, hashed, password)
        # released when the work has ended, even if the caller has been cancelled
        work.add_done_callback(lambda _: self._capacity.release())
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Stop accepting checks; those that are running finish on their own."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def verify_password(hashed: str, password: str) -> bool:
    """Return whether a prepared password matches the hash; slow by design."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - optional: needed only with users
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - likewise

    try:
        return PasswordHasher().verify(hashed, password)
    except VerificationError:
        return False


def make_user(name: str, password: bytes, salt: bytes) -> User:
    """Return a user with this password; raises `SaslError`. Slow by design.

    `salt` must be SALT_SIZE random octets.
    """
    assert len(salt) == SALT_SIZE
    prepared = prepare_password(password)
    return User(name, hash_password(prepared), Verifier.make(prepared, salt))


def hash_password(prepared: str) -> str:
    """Return the argon2id hash of a prepared password; slow by design."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - optional: needed only with users

    return PasswordHasher().hash(prepared)
