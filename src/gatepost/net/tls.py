"""TLS for listeners: certificates and keys from files, read again when the files change.

Theory of operation
-------------------
A `KeyPair` is one certificate with its key, as an `ssl.SSLContext` for each kind of listener.
`refresh`, which the file watcher calls in a thread, replaces all contexts together. A handshake
uses either the old pair or the new one; sessions in progress are not affected. A `ListenerTls`
chooses the pair for a handshake by the server name that the client requests (SNI).

A renewal writes two files, and `refresh` may run between the two writes. A pair that does not match
is therefore reported only when it is found twice. The previous pair stays in force.

Security: TLS 1.2 or later by default, no compression, no renegotiation. Each kind of listener has
its own contexts, and so its own keys for session tickets: a ticket from one cannot resume a session
at another. The files are trusted. A key with a passphrase is refused, because a server cannot
prompt for it.
Limits: a client certificate not issued by `client_ca` ends the handshake. OpenSSL offers Python no
way to continue.

`load` and `refresh` block on I/O. At most one thread may use a pair.
"""

import ssl
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gatepost.config.schema import CertificateConfig, Config, ListenConfig, TlsConfig
from gatepost.lists.reloadable import FileChange, FileIdentity, identify_file, is_stable
from gatepost.net.certificate import expiry
from gatepost.net.unnamed import readable

# The kinds of listeners with TLS, as the configuration names them.
MODES = ("starttls", "implicit")


class TlsKind(NamedTuple):
    """A kind of listener: its mode, and the lowest TLS version."""

    mode: str
    minimum: str


WEB = TlsKind("implicit", "1.2")
DEFAULT_KINDS = tuple(TlsKind(mode, TlsConfig().minimum) for mode in MODES)
_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# OpenSSL 3 refuses these versions at its usual security level, for their use of SHA-1.
OBSOLETE = frozenset({"1.0", "1.1"})
_OBSOLETE_CIPHERS = "DEFAULT:!aNULL:!eNULL:@SECLEVEL=0"

# A client rarely opens two connections with one ticket.
TICKETS = 1

ANY_NAME = "*"

# The content of files that another process has read.
Contents = Mapping[Path, bytes]


class TlsError(Exception):
    """A certificate or key that cannot be used; the message names the file and the reason."""


class NamedObject(ssl.SSLObject):
    """A TLS connection; `sni` is the server name that the client requested, "" if it did not."""

    sni = ""


class KeyPair:
    """A certificate with its key; `contexts` has the last usable version for each kind of listener.

    `path` is the file of the certificate, `key` the file of the key. `names` are the server names
    that select the pair. A pair in `contents` is taken from there and never read from the files.
    `expires` is when the certificate in use expires, in seconds since 1970, 0 if that is unknown.
    """

    contexts: Mapping[TlsKind, ssl.SSLContext]

    def __init__(
        self,
        names: Sequence[str],
        path: Path,
        key: Path,
        client_ca: Path | None = None,
        contents: Contents | None = None,
        *,
        kinds: Sequence[TlsKind] = DEFAULT_KINDS,
    ) -> None:
        self.names = tuple(names)
        self.path = path
        self.key = key
        self._client_ca = client_ca
        self._kinds = kinds
        self._contents = contents if contents and path in contents else {}
        self._seen: tuple[FileIdentity, ...] | None = None
        self._suspect: tuple[FileIdentity, ...] | None = None
        self._problem = ""
        self.expires = 0.0
        self.listeners: list[ListenerTls] = []

    @property
    def problem(self) -> str:
        """The reason why the files cannot be used now, "" if they can."""
        return self._problem

    def load(self) -> None:
        """Read the files for the first time. Raises `TlsError`."""
        self._remember(self._stat())
        self.contexts = self._read()
        self.expires = self._expiry()

    def refresh(self) -> FileChange | None:
        """Read the files again if one of them changed; return the change to report, if any."""
        try:
            found = self._stat()
            return None if found == self._seen else self._refresh(found)
        except TlsError as error:
            return self._fail(str(error))

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _refresh(self, found: tuple[FileIdentity, ...]) -> FileChange | None:
        try:
            contexts = self._read()
        except TlsError:
            if found != self._suspect:
                self._suspect = found
                return None
            self._remember(found)
            raise
        self._remember(found)
        for listener in self.listeners:
            listener.attach(contexts)
        self.contexts = contexts
        self.expires = self._expiry()
        self._problem = ""
        return FileChange(self.path, len(self.names))

    def _fail(self, problem: str) -> FileChange | None:
        if problem == self._problem:
            return None
        self._problem = problem
        return FileChange(self.path, len(self.names), problem=problem)

    def _remember(self, found: tuple[FileIdentity, ...]) -> None:
        self._seen = found if all(map(is_stable, found)) else None

    @property
    def _files(self) -> tuple[Path, ...]:
        pair = () if self._contents else (self.path, self.key)
        return pair if self._client_ca is None else (*pair, self._client_ca)

    def _stat(self) -> tuple[FileIdentity, ...]:
        try:
            return tuple(map(_identity, self._files))
        except TlsError:
            self._seen = None
            raise

    def _expiry(self) -> float:
        try:
            return expiry(self._contents.get(self.path) or self.path.read_bytes())
        except (OSError, ValueError):
            return 0.0

    def _read(self) -> dict[TlsKind, ssl.SSLContext]:
        return {kind: self._context(kind.minimum) for kind in self._kinds}

    def _context(self, minimum: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[minimum]
        if minimum in OBSOLETE:
            context.set_ciphers(_OBSOLETE_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.num_tickets = TICKETS
        context.sslobject_class = NamedObject
        try:
            self._load_pair(context)
        except (OSError, ValueError) as error:
            raise TlsError(f"{self.path}: {_why(error)} (key {self.key})") from error
        if self._client_ca is not None:
            self._request_client_certificate(context, self._client_ca)
        return context

    def _load_pair(self, context: ssl.SSLContext) -> None:
        with ExitStack() as stack:
            cert, key = (
                stack.enter_context(readable(self._contents[path])) if self._contents else path
                for path in (self.path, self.key)
            )
            context.load_cert_chain(cert, key, password=_no_passphrase)

    def _request_client_certificate(self, context: ssl.SSLContext, path: Path) -> None:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise TlsError(f"{path}: {_why(error)}") from error
        context.verify_mode = ssl.CERT_OPTIONAL


class ListenerTls:
    """The certificates of a kind of listener. `pairs` is not empty, and each has this kind."""

    def __init__(self, kind: TlsKind, pairs: Sequence[KeyPair]) -> None:
        self.kind = kind
        self.mode = kind.mode
        self._pairs = tuple(pairs)
        self._default = next((pair for pair in pairs if ANY_NAME in pair.names), pairs[0])
        for pair in pairs:
            pair.listeners.append(self)
            self.attach(pair.contexts)

    def attach(self, contexts: Mapping[TlsKind, ssl.SSLContext]) -> None:
        """Choose the pair by server name in handshakes that start with one of these contexts."""
        contexts[self.kind].sni_callback = self._choose_context

    def context(self) -> ssl.SSLContext:
        """Return the context to start a handshake with."""
        return self._default.contexts[self.kind]

    def choose(self, name: str) -> KeyPair:
        """Return the first pair for a server name in lower case, or the default pair."""
        parent = f"*.{name.partition('.')[2]}"
        for pair in self._pairs:
            if name in pair.names or parent in pair.names:
                return pair
        return self._default

    def _choose_context(
        self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> None:
        if name and isinstance(connection, NamedObject):
            connection.sni = name.lower().removesuffix(".")
            connection.context = self.choose(connection.sni).contexts[self.kind]


def key_pairs(config: Config, contents: Contents | None = None) -> list[KeyPair]:
    """Return the configured certificates, not read yet; [] if no listener has TLS."""
    if all(listen.tls == "none" for listen in config.listen):
        return []
    return all_key_pairs(config, contents)


def web_key_pairs(config: Config, contents: Contents | None = None) -> list[KeyPair]:
    """Return the certificates of the dashboard, not read yet; [] if it has no TLS.

    Browsers need TLS 1.2 at least, and are not asked for a certificate.
    """
    if not config.web.tls:
        return []
    return [
        KeyPair(one.names, config.path(one.cert), config.path(one.key), None, contents, kinds=[WEB])
        for one in config.tls.certificates
    ]


def all_key_pairs(config: Config, contents: Contents | None = None) -> list[KeyPair]:
    """Return the configured certificates, not read yet."""
    ca = config.path(config.tls.client_ca) if config.tls.client_ca else None
    return [_pair(config, one, ca, contents) for one in config.tls.certificates]


def _pair(
    config: Config, one: CertificateConfig, client_ca: Path | None, contents: Contents | None
) -> KeyPair:
    cert, key = config.path(one.cert), config.path(one.key)
    return KeyPair(
        one.names, cert, key, client_ca, contents, kinds=kinds_of(config) or DEFAULT_KINDS
    )


def kind_of(config: Config, listen: ListenConfig) -> TlsKind:
    """Return the kind of a listener."""
    return TlsKind(listen.tls, listen.tls_minimum or config.tls.minimum)


def kinds_of(config: Config) -> tuple[TlsKind, ...]:
    """Return the kinds of all listeners with TLS."""
    found = (kind_of(config, listen) for listen in config.listen if listen.tls != "none")
    return tuple(dict.fromkeys(found))


def _identity(path: Path) -> FileIdentity:
    try:
        return identify_file(path.stat())
    except OSError as error:
        raise TlsError(f"{path}: cannot be read: {error.strerror}") from error


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted, expected one without a passphrase")


# OpenSSL's reasons, as messages for the administrator.
_REASONS = {
    "KEY_VALUES_MISMATCH": "the certificate and the key do not belong together",
    "NO_START_LINE": "expected a certificate and a key in PEM form",
    "PEM_LIB": "expected a certificate and a key in PEM form",
    "NO_CERTIFICATE_OR_CRL_FOUND": "expected a certificate in PEM form",
}


def _why(error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return f"cannot be used: {getattr(error, 'strerror', None) or error}"
    reason = error.reason or "PEM_LIB"
    return f"cannot be used: {_REASONS.get(reason, reason.lower().replace('_', ' '))}"
