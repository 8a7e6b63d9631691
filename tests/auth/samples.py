"""Users with hashes that are cheap to check, and the client's side of PLAIN and SCRAM-SHA-256."""

import hmac
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256

from argon2 import PasswordHasher

from gatepost.auth.users import User
from gatepost.wire.sasl.verifier import Verifier, decode_base64

_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SALT = b"0123456789abcdef"
ITERATIONS = 4
NUL = b"\0"


def hashed(password):
    """Return the hash of a password. The salt is fixed, because test ids contain the hash."""
    return _CHEAP.hash(password, salt=SALT)


def user(name="alice", password="secret", *, plain=True, scram=True):
    verifier = Verifier.make(password, SALT, ITERATIONS) if scram else None
    return User(name, hashed(password) if plain else "", verifier)


def write_users(folder, *users):
    (folder / "users.auth").write_text("".join(f"{one}\n" for one in users or (user(),)))


def b64(text):
    return b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(name="alice", password="secret", authzid=""):
    return NUL.join(one.encode() for one in (authzid, name, password))


class ScramClient:
    """The client side of SCRAM-SHA-256."""

    def __init__(self, name="alice", password="secret", header="n,,", nonce="client"):
        self.password, self.header = password, header
        self.bare = f"n={name},r={nonce}"
        self.first = (header + self.bare).encode()

    def final(self, challenge):
        fields = dict(one.split("=", 1) for one in challenge.decode().split(","))
        salt = decode_base64(fields["s"])
        salted = pbkdf2_hmac("sha256", self.password.encode(), salt, int(fields["i"]))
        unproven = f"c={b64(self.header)},r={fields['r']}"
        auth_message = f"{self.bare},{challenge.decode()},{unproven}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(sha256(key).digest(), auth_message, "sha256")
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        self.verdict = b"v=" + b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        )
        return f"{unproven},p={b64(proof)}".encode()
