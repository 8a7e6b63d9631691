"""Sign the mail of your users, and of this server, with DKIM (RFC 6376)."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost import File, Headers, MessageTransaction, Plugin, Watch
from gatepost.mailauth.dkim import (
    BodyHashes,
    PrivateKey,
    PrivateKeyError,
    SignError,
    load_private_key,
    sign,
)
from gatepost.mailauth.dmarc import read_author

_NOTE = "dkim_sign"
_WEEK = 7 * 86400.0


class SigningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key: the domains it signs for, its name in the DNS, and its file."""

    domains: tuple[str, ...]
    selector: str
    file: File


class _Keyed(NamedTuple):
    domain: str
    selector: str
    key: PrivateKey


class _Started(msgspec.Struct, eq=False):
    """A message that is signed at its end: the hash of its body, and the keys."""

    hashes: BodyHashes
    watch: Watch
    keys: list[_Keyed]


class DkimSign(Plugin):
    """Signs messages of authenticated clients, and of networks that may relay.

    A message is signed with every key for the domain of its From field, or else for the nearest
    parent domain.
    """

    after = frozenset({"score", "dmarc", "arc", "authentication_results"})

    class Options(Plugin.Options):
        """The keys."""

        keys: tuple[SigningKey, ...]
        """The keys, each with `domains`, `selector` and `file` (PEM, RSA or Ed25519)."""
        relays: bool = True
        """Whether mail of clients in networks of `relay_for` of a route is signed too."""
        expires: bool = False
        """Whether a signature ends after a week (x=)."""

    def start(self) -> None:
        """Load the keys; raises ValueError if one cannot be used."""
        self._keys: dict[str, list[_Keyed]] = {}
        for one in self.options.keys:
            key = _loaded(one.file)
            for domain in map(str.lower, one.domains):
                self._keys.setdefault(domain, []).append(_Keyed(domain, one.selector, key))

    def on_headers(self, tx: MessageTransaction, _headers: Headers) -> None:
        """Begin to hash the body, if the message will be signed."""
        session = tx.session
        if session.auth is None and not (session.in_relay_network and self.options.relays):
            return
        keys = self._keys_for(read_author(tx.message.header_block()).domain)
        if keys:
            hashes = BodyHashes(signing=True)
            watch = tx.message.watch(hashes.update, body=True)
            tx.notes[_NOTE] = _Started(hashes, watch, keys)

    def _keys_for(self, author: str) -> list[_Keyed]:
        domain = author
        while domain and domain not in self._keys:
            domain = domain.partition(".")[2]
        return self._keys.get(domain, [])

    def on_message(self, tx: MessageTransaction) -> None:
        """Sign the message as plugins have edited it."""
        started: _Started | None = tx.notes.get(_NOTE)
        if started is None:
            return
        digest = _body_hash(tx, started)
        for name, value in self._fields(tx.message.headers().raw, digest, started.keys):
            tx.message.add_header(name, value)

    def on_own_mail(self, message: bytes) -> list[tuple[str, str]]:
        """Sign a message that the server creates, with the keys for its From field."""
        block, _, body = message.partition(b"\r\n\r\n")
        keys = self._keys_for(read_author(block + b"\r\n").domain)
        hashes = BodyHashes(signing=True)
        hashes.update(body)
        hashes.finish()
        return list(self._fields(block + b"\r\n", hashes.get("relaxed", None).digest, keys))

    def _fields(
        self, block: bytes, digest: bytes, keys: Iterable[_Keyed]
    ) -> Iterator[tuple[str, str]]:
        """Yield a signature for each key; one that cannot be made is logged."""
        now = self.clock.time()
        expires = now + _WEEK if self.options.expires else None
        for one in keys:
            try:
                field = _signature(block, digest, one, now, expires)
            except SignError as error:
                self.log.warning("message not signed", domain=one.domain, problem=str(error))
                continue
            self.metrics.counter("signed", domain=one.domain).inc()
            name, _, value = field.decode("ascii").partition(":")
            yield name, value.strip()


def _signature(
    block: bytes, digest: bytes, keyed: _Keyed, now: float, expires: float | None
) -> bytes:
    return sign(
        block,
        digest,
        domain=keyed.domain,
        selector=keyed.selector,
        key=keyed.key,
        now=now,
        expires=expires,
    )


def _body_hash(tx: MessageTransaction, started: _Started) -> bytes:
    """Return the hash of the body that will be delivered."""
    hashes = started.hashes
    if any(one.kind == "body replaced" for one in tx.message.edits):
        hashes = BodyHashes(signing=True)
        hashes.update(bytes(tx.message).partition(b"\r\n\r\n")[2])
    else:
        started.watch.check()
    hashes.finish()
    return hashes.get("relaxed", None).digest


def _loaded(file: Path) -> PrivateKey:
    try:
        return load_private_key(file.read_bytes())
    except (OSError, PrivateKeyError) as error:
        raise ValueError(f"{file}: {error}") from error
