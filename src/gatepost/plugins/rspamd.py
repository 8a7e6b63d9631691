"""Ask rspamd about each message, and do what it recommends.

The content goes to a normal worker of rspamd as it was received, with the facts of the envelope, by
its HTTP protocol (`checkv2`). No header that makes rspamd read files is sent.

Trusts: rspamd is the one at `server`. Its reply is checked (`gatepost.plugins._rspamd_reply`).
Limits: those of all scanners. Each scan has a connection of its own, because rspamd closes it after
the reply.
"""

import importlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gatepost import Decision, MessageTransaction, Reaction, Secret
from gatepost.plugins._exchange import UNIX, UnreachableError
from gatepost.plugins._rspamd_edits import edit, sign
from gatepost.plugins._rspamd_reply import LARGEST, RspamdReply, check_learned, parse_reply
from gatepost.plugins._scanner import (
    Scanner,
    ScannerError,
    ScannerOptions,
    confirmed_name,
    content_of,
)
from gatepost.plugins._servers import Servers

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

PATH = "/checkv2"
OK = 200
# More recipients would make the header of the request too long for rspamd.
_MOST_RECIPIENTS = 200
_LONGEST = 500
_UNSAFE = re.compile(r"[^ -~\u00a0-\ud7ff\ue000-\U0010ffff]")
_NO_WORD = re.compile(r"[^a-z0-9_.-]+")

# The option with the reaction to an action, and the usual reply. Other actions accept the message.
_REFUSALS = {
    "reject": ("reject", "Message looks like spam"),
    "soft reject": ("soft_reject", "Try again later"),
    "greylist": ("greylist", "Greylisted, try again later"),
}


class Rspamd(Scanner[RspamdReply]):
    """Adds the result `rspamd`: the action, such as "add-header", "skipped" or "temperror"."""

    result = "rspamd"

    class Options(ScannerOptions):
        """The address of rspamd, and what its actions cause."""

        server: str | tuple[str, ...] = "http://127.0.0.1:11333"
        """The URL of a normal worker of rspamd, or "unix:PATH" for its socket. Of several in an
        array, the next one is asked if one does not accept connections."""
        too_large: Reaction = Reaction("none")
        """The reaction to a larger message."""
        reject: Reaction = Reaction("deny")
        """The reaction to the action "reject"."""
        soft_reject: Reaction = Reaction("defer")
        """The reaction to the action "soft reject", such as of its modules greylist and
        ratelimit."""
        greylist: Reaction = Reaction("none")
        """The reaction to the action "greylist". The module greylist of rspamd defers by
        "soft reject". This action remains while that module is off or without its Redis: then
        rspamd does not recognise the next attempt, and "defer" would never let it in."""
        spam_header: str = "X-Spam"
        """The header field of a message with the action "add header". Fields of this name that
        the client has sent are removed. "" for none."""
        discard_route: str = ""
        """The name of the `[[route]]` for messages with the action "discard", such as one to
        `discard:`. Without it they are treated as with "reject"."""
        weight: float = 0.0
        """The number of points for `score` for each point of rspamd."""
        settings_id: str = ""
        """The settings that rspamd applies, by their name. It can differ by domain."""
        controller: str = "http://127.0.0.1:11334"
        """The URL of the controller of rspamd, or "unix:PATH" for its socket: it learns messages
        (`gatepost queue learn`)."""
        password: Secret = Secret("")
        """The password of the controller, such as "file:rspamd.password". rspamd needs none from
        clients in its `secure_ip`."""

        def __post_init__(self) -> None:
            super().__post_init__()
            endpoints(self.server)
            endpoint(self.controller)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if find_spec("aiohttp") is None:
            raise ValueError("it needs the package aiohttp: pip install 'gatepost[http]'")

    @cached_property
    def _http(self) -> Any:
        """The module, which takes long to import."""
        return importlib.import_module("aiohttp")

    async def start(self) -> None:
        """Prepare the HTTP client."""
        found = endpoints(self.options.server)
        self._clients = [(url, self._make_client(socket)) for url, socket in found]
        self._servers = Servers(self._clients)

    def _make_client(self, socket: str) -> "ClientSession":
        """Return a client for a Unix socket, or for TCP if `socket` is ""."""
        connector = (
            self._http.UnixConnector(socket, limit=0, force_close=True)
            if socket
            else self._http.TCPConnector(limit=0, force_close=True)
        )
        client: ClientSession = self._http.ClientSession(
            connector=connector,
            cookie_jar=self._http.DummyCookieJar(),
            timeout=self._http.ClientTimeout(total=None),
            auto_decompress=False,
        )
        return client

    async def stop(self) -> None:
        """Close the HTTP clients."""
        for _, client in self._clients:
            await client.close()

    async def scan(self, tx: MessageTransaction) -> RspamdReply:
        """Send the message to rspamd, and read its reply."""
        return await self._servers.ask(partial(self._scan, tx))

    async def _scan(
        self, tx: MessageTransaction, server: tuple[str, "ClientSession"]
    ) -> RspamdReply:
        url, client = server
        headers = [*facts(tx), *self._settings(tx), ("Content-Length", str(tx.message.size))]
        try:
            async with client.post(
                url, data=_stream(tx), headers=headers, allow_redirects=False
            ) as response:
                if response.status != OK:
                    raise ScannerError(f"rspamd replied with the HTTP status {response.status}")
                return parse_reply(await _read(response))
        except self._http.ClientConnectorError as error:
            raise UnreachableError(str(error)) from error
        except self._http.ClientError as error:
            raise ScannerError(str(error) or type(error).__name__) from error

    async def on_learn(self, tx: MessageTransaction, kind: str) -> None:
        """Let rspamd learn a message."""
        url, socket = endpoint(self.options.controller, f"/learn{kind}")
        headers = {"Content-Length": str(tx.message.size), "Password": str(self.options.password)}
        try:
            async with (
                self._make_client(socket) as client,
                client.post(
                    url, data=_stream(tx), headers=headers, allow_redirects=False
                ) as response,
            ):
                check_learned(response.status, await _read(response))
        except self._http.ClientError as error:
            raise ScannerError(str(error) or type(error).__name__) from error

    def probes(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        """Ask each rspamd for its version."""
        found = endpoints(self.options.server, "/ping")
        return {socket or url: partial(self._version, url, socket) for url, socket in found}

    async def _version(self, url: str, socket: str) -> str:
        async with self._make_client(socket) as client, client.get(url) as response:
            if response.status != OK:
                raise ScannerError(f"expected the HTTP status {OK}, found {response.status}")
            return response.headers.get("Server", "answers")

    def _settings(self, tx: MessageTransaction) -> Iterator[tuple[str, str]]:
        yield "MTA-Name", self.server.hostname
        if settings := self._options(tx).settings_id:
            yield "Settings-ID", settings

    def _options(self, tx: MessageTransaction) -> Options:
        """Return the options for the domain of all recipients, those in general for several."""
        first, *others = (self.options_for(one) for one in tx.recipients)
        return first if all(one == first for one in others) else self.options

    def conclude(self, tx: MessageTransaction, found: RspamdReply) -> Decision | None:
        """Do what rspamd recommends, and edit a message that is accepted."""
        options = self._options(tx)
        action = "no action" if found.milter.no_action else found.action
        name, text = _REFUSALS.get(self._route(tx, options, action, found), ("", ""))
        reaction: Reaction = getattr(options, name) if name else Reaction()
        self._record(tx, found, reaction.score + options.weight * (found.score or 0.0))
        text = (found.text or text)[:_LONGEST]
        decision = reaction.decide(text, reason=_word(found.action))
        if decision is None or not decision.refuses:
            problems = [*edit(tx.message, found, options.spam_header), *sign(tx.message, found)]
            if problems:
                log = self.log_for(tx)
                log.warning("field not edited", problem="; ".join(problems)[:_LONGEST])
        return decision

    def _route(
        self, tx: MessageTransaction, options: Options, action: str, found: RspamdReply
    ) -> str:
        """Hold or discard a message if that is the action; return the action that remains."""
        instead = found.milter.reject if action == "reject" else action
        if instead == "quarantine":
            tx.quarantine("rspamd")
            return ""
        if instead != "discard":
            return action
        if not options.discard_route:
            return "reject"
        tx.choose_route(options.discard_route)
        return ""

    def _record(self, tx: MessageTransaction, found: RspamdReply, score: float) -> None:
        about: dict[str, str | float] = {"score": score}
        if found.score is not None:
            about["points"] = found.score
        if found.required_score is not None:
            about["required"] = found.required_score
        symbols = " ".join(found.symbols)[:_LONGEST]
        self.add(tx, _word(found.action), **about, symbols=_UNSAFE.sub("?", symbols))


def _word(action: str) -> str:
    """Return an action as the value of a result; actions can be those of an administrator."""
    return _NO_WORD.sub("-", action.lower()).strip("-._0123456789")[:60] or "other"


def endpoint(server: str, path: str = PATH) -> tuple[str, str]:
    """Return the URL of a path, and the path of the Unix socket, "" without one.

    Raises ValueError for a server that is neither a URL nor "unix:PATH".
    """
    if server.startswith(UNIX + "/"):
        return f"http://localhost{path}", server.removeprefix(UNIX)
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f'expected "http://HOST:PORT" or "{UNIX}PATH", found {server!r}')
    return f"{parts.scheme}://{parts.netloc}{path}", ""


def endpoints(servers: str | Sequence[str], path: str = PATH) -> list[tuple[str, str]]:
    """Return the same for each server; raises ValueError also without any."""
    found = [servers] if isinstance(servers, str) else servers
    if not found:
        raise ValueError("server: expected at least one address")
    return [endpoint(one, path) for one in found]


def facts(tx: MessageTransaction) -> Iterator[tuple[str, str]]:
    """Yield the request headers with the facts about a message, as far as they are known."""
    for name, value in _known_facts(tx):
        if value:
            yield name, _UNSAFE.sub("?", value)


def _known_facts(tx: MessageTransaction) -> Iterator[tuple[str, str]]:
    session = tx.session
    yield "Queue-Id", tx.queue_id or tx.id
    yield "IP", _address(session.peer.host)
    yield "Helo", session.helo
    yield "From", str(tx.reverse_path) or "<>"
    yield "Hostname", confirmed_name(tx)
    if session.auth is not None:
        yield "User", session.auth.user
    if session.tls is not None:
        yield "TLS-Version", session.tls.version
        yield "TLS-Cipher", session.tls.cipher
    for one in tx.recipients[:_MOST_RECIPIENTS]:
        yield "Rcpt", str(one.address)
    if len(tx.recipients) == 1:
        yield "Deliver-To", str(tx.recipients[0].address)


def _address(host: str) -> str:
    """Return an IP address, "" for a client on a Unix socket."""
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


async def _stream(tx: MessageTransaction) -> AsyncIterator[bytes]:
    for piece in content_of(tx):
        yield piece


async def _read(response: "ClientResponse") -> bytes:
    """Return the body of a response; one octet more than the limit shows that it is too long."""
    body = bytearray()
    while len(body) <= LARGEST:
        piece = await response.content.read(LARGEST + 1 - len(body))
        if not piece:
            break
        body += piece
    return bytes(body)
