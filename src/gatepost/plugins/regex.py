"""Decide by regular expressions, searched in the envelope, the header fields or the text.

Rules are tables in the configuration, or lines of files that are read again when they change
(`gatepost.plugins._regex_rules`). A pattern that is not usable keeps the server from starting.

Trusts: nothing in a message. RE2 searches in linear time. Limits: the first `scan` octets of a
message, MOST_FIELDS header fields for each place, MOST_MATCHES rules that match in a message.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from gatepost import (
    Address,
    Decision,
    File,
    Headers,
    MessageTransaction,
    Plugin,
    Recipient,
    Size,
    Transaction,
    blocking,
)
from gatepost.lists.reloadable import ListError
from gatepost.plugins._client import Finding, decide
from gatepost.plugins._encoded_words import shown_text
from gatepost.plugins._mime import read, texts
from gatepost.plugins._regex_rules import (
    CONTENT,
    HEADER,
    NAMED,
    Rule,
    RuleFile,
    RuleSet,
    describe,
    matches,
)
from gatepost.plugins._scanner import confirmed_name
from gatepost.plugins._uris import LIMITS, without_references

MOST_FIELDS = 1000
MOST_MATCHES = 50
# More text than this is searched in a thread, because that takes some milliseconds.
SMALL = 32768

_TEXT = "Message refused by local policy"
Texts = Mapping[str, Sequence[str]]


class Regex(Plugin):
    """Adds the result `regex` "match" for each rule that is found, with its name and points."""

    after = frozenset({"iprev"})

    class Options(Plugin.Options):
        """The rules."""

        rules: tuple[Rule, ...] = ()
        """Rules, each with `name`, `where`, `pattern` (RE2, ignoring case), `reaction` and perhaps
        the `text` of the reply."""
        files: tuple[File, ...] = ()
        """Files with a rule in each line. They are read again when they change."""
        scan: Size = Size("256KiB")
        """The number of octets at the start of a message that are searched."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._own = RuleSet.of(self.options.rules)
        self._files = tuple(RuleFile(path) for path in self.options.files)
        for file in self._files:
            _load(file)

    def start(self) -> None:
        """Begin to watch the files."""
        if self._files:
            self.every("1s", self.refresh)

    @blocking
    def refresh(self) -> None:
        """Read the files that have changed; the rules in bad lines are left out."""
        for file in self._files:
            change = file.refresh()
            if change is None:
                continue
            problem = change.problem or describe(change.errors)
            if problem:
                self.log.warning("rules not loaded", path=str(file.path), problem=problem)
            if not change.problem:
                self.log.info("rules loaded", path=str(file.path), rules=change.entries)

    def _versions(self) -> list[RuleSet]:
        return [self._own, *(file.current for file in self._files)]

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Search the client, the sender and the recipient."""
        session, sender = tx.session, tx.reverse_path
        texts = {
            "client": list(filter(None, (session.peer.host, confirmed_name(tx)))),
            "helo": [session.helo],
            "sender": [_text(sender)],
            "recipient": [_text(rcpt.address)],
        }
        return self._conclude(tx, matches(self._versions(), texts))

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Search the fields and the content, as the client has sent them."""
        versions = self._versions()
        places = {place for one in versions for place in one.places}
        texts = _header_texts(tx, places)
        if places.isdisjoint(CONTENT):
            return self._conclude(tx, matches(versions, texts))
        content = _start(tx.message.content(), self.options.scan)
        if len(content) <= SMALL:
            return self._conclude(tx, _search(versions, texts, content, places))
        found = await asyncio.to_thread(_search, versions, texts, content, places)
        return self._conclude(tx, found)

    def _conclude(self, tx: Transaction, found: Iterable[Rule]) -> Decision | None:
        """Add a result for each rule that was not found before; decide by all that are found."""
        known: dict[str, None] = tx.notes.setdefault(self.name, {})
        rules = list(found)
        for one in rules:
            if one.name not in known and len(known) < MOST_MATCHES:
                known[one.name] = None
                self.metrics.counter("found", rule=one.name).inc()
                tx.results.add("regex", "match", rule=one.name, score=one.reaction.score)
        return decide([_finding(one) for one in rules], self.options)


def _load(file: RuleFile) -> None:
    try:
        file.load()
    except ListError as error:
        raise ValueError(str(error)) from error
    if file.current.errors:
        raise ValueError(describe(file.current.errors))


def _finding(rule: Rule) -> Finding:
    return Finding(rule.name, rule.text or _TEXT, "5.7.1", lambda _: rule.reaction)


def _text(address: Address) -> str:
    return str(address) if address else ""


def _header_texts(tx: MessageTransaction, places: Iterable[str]) -> Texts:
    """Return the fields that rules name, as they are and as people see them."""
    named = [one for one in places if one.startswith(NAMED)]
    if not named and HEADER not in places:
        return {}
    headers = Headers(tx.message.header_block())
    texts = {one: _shown(headers.get_all(one.removeprefix(NAMED))) for one in named}
    if HEADER in places:
        texts[HEADER] = _shown(f"{name}: {value}" for name, value in headers)
    return texts


def _shown(values: Iterable[str]) -> Sequence[str]:
    """Return values and, where they differ, what people see."""
    first = list(islice(values, MOST_FIELDS))
    return list(dict.fromkeys([*first, *map(shown_text, first)]))


def _search(
    versions: Sequence[RuleSet], texts: Texts, content: bytes, places: Iterable[str]
) -> list[Rule]:
    """Return the rules that are found in the header texts and the content."""
    searched = {**texts, **_content_texts(content, places)}
    return list(matches(versions, searched))


def _content_texts(content: bytes, places: Iterable[str]) -> Texts:
    raw = content.replace(b"\r\n", b"\n").decode("utf-8", "replace")
    texts = {"raw": [raw], "body": [f"\n{raw}".partition("\n\n")[2]]}
    return {**texts, "text": list(text_parts(content))} if "text" in places else texts


def text_parts(content: bytes) -> Iterator[str]:
    """Yield the decoded text parts of a message, with LF as line ends."""
    for text in texts(read(content, LIMITS), len(content)):
        yield without_references(text).replace("\r\n", "\n")


def _start(pieces: Iterable[bytes], size: int) -> bytes:
    """Return the first octets of a content."""
    found = bytearray()
    for piece in pieces:
        found += piece[: size - len(found)]
        if len(found) >= size:
            break
    return bytes(found)
