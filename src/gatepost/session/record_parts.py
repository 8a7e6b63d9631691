"""The parts of the ledger's records: how facts of sessions are recorded.

The functions return values and keep none of the session's objects.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from gatepost.ledger import records as r
from gatepost.ledger.limits import MAX_LISTED, text
from gatepost.ledger.privacy import Privacy
from gatepost.model.address import address_text
from gatepost.model.decision import Verdict
from gatepost.model.reply import Reply
from gatepost.model.results import Result, Results
from gatepost.model.session import (
    Opinion,
    Recipient,
    Session,
    Transaction,
    TrapHit,
)
from gatepost.session.traps.verdict import was_shadowed
from gatepost.traps.verdicts import TrapClass


class Story:
    """The facts of a session or transaction before its end; `final` decided its result.

    `faults` is the number of refusals, `of_hooks` of those at a hook from RCPT on.
    """

    __slots__ = ("answers", "changes", "edits", "end", "faults", "final", "of_hooks", "problem")

    def __init__(self) -> None:
        self.answers: list[r.Answer] = []
        self.faults = 0
        self.of_hooks = 0
        self.final: r.Answer | None = None
        self.end = ""
        self.problem = ""
        self.edits: Sequence[str] = ()
        self.changes: Sequence[str] = ()


# The story of most sessions and transactions.
NOTHING: Final = Story()


def transaction(
    tx: Transaction,
    who: r.Client,
    story: Story,
    privacy: Privacy,
    now: float,
    *,
    accepted: r.Answer | None = None,
    plugin: str = "",
    size: int | None = None,
) -> r.Transaction:
    """Return the record of a transaction of the client `who` that ends now.

    `accepted` is the last reply if the message was accepted. `size` is that of the message, None
    for the one of the transaction.
    """
    taken, refused, message = tx.recipients, tx.refused, tx.message
    final = accepted or story.final or (_OPEN if taken else _last_of(story))
    result = "abandoned" if final is _OPEN else _RESULTS[final.verdict]
    recipients = [*taken, *refused] if refused else taken
    header_from, subject = privacy.fields(message)
    began = tx.received
    if size is None:
        size = 0 if message is None else message.size
    return r.Transaction(
        began,
        tx.id,
        tx.session.id,
        who,
        privacy.address(address_text(tx.reverse_path)),
        result,
        final.by,
        final.reason,
        final.reply,
        now - began if now > began else 0.0,
        [_recipient(one, result, privacy) for one in recipients[:MAX_LISTED]],
        len(recipients),
        size,
        privacy.message_id(tx.message_id),
        header_from,
        subject,
        **_rare(tx, story, final, plugin, privacy),
    )


def _rare(
    tx: Transaction, story: Story, final: r.Answer, plugin: str, privacy: Privacy
) -> dict[str, Any]:
    """Return the fields that most transactions do not have."""
    fields: dict[str, Any] = {}
    if story is not NOTHING:
        _add_story(fields, story, final)
    if tx.opinions:
        fields["answers"] = [*story.answers, *shadow(tx.opinions, privacy)]
    if tx.refused:
        fields["refused_count"] = len(tx.refused)
    if tx.trap_hits:
        fields["traps"] = _traps(tx, privacy)
        fields["traps_count"] = len(tx.trap_hits)
        was_accepted = final is not _OPEN and final.verdict == "accept"
        fields["shadowed"] = was_accepted and any(map(was_shadowed, tx.trap_hits))
    if tx.found is not None:
        fields["results"] = _results(tx.found, privacy)
        fields["score"] = tx.found.score
    if tx.next_hops:
        fields["next_hops"] = {hop: text(reply) for hop, reply in tx.next_hops.items()}
    if plugin:
        fields["plugin"] = plugin
    if tx.queue_id:
        fields["queue_id"] = text(tx.queue_id)
    if tx.acting is not None and tx.acting.named is not None:
        fields["replaced"] = _replaced(tx.acting.named, tx.recipients, privacy)
    return fields


def _add_story(fields: dict[str, Any], story: Story, final: r.Answer) -> None:
    if story.answers:
        fields["answers"] = story.answers
    if story.faults:
        fields["faults"] = _other_faults(story, final)
    if story.edits or story.changes or story.problem:
        fields |= {"edits": story.edits, "changes": story.changes, "problem": story.problem}
    if final.hook:
        fields["hook"] = final.hook


def _other_faults(story: Story, final: r.Answer) -> int:
    """Return the number of refusals that the record has neither as recipient nor as result."""
    is_final = final.verdict != "accept" and not final.hook
    return story.faults - story.of_hooks - is_final


def _last_of(story: Story) -> r.Answer:
    """Return the refusal of the last recipient, if there is one."""
    refusals = (one for one in reversed(story.answers) if one.hook == "rcpt")
    return next((one for one in refusals if one.verdict != "accept"), _OPEN)


def _recipient(rcpt: Recipient, result: r.Result, privacy: Privacy) -> r.RecipientRecord:
    reply = rcpt.reply
    refused = reply is not None and reply.code >= 400
    return r.RecipientRecord(
        privacy.address(address_text(rcpt.address)),
        result_of(reply) if refused and reply is not None else result,
        text(str(reply)) if refused else "",
        rcpt.route,
        rcpt.added,
    )


def _replaced(
    named: Sequence[Recipient], final: Sequence[Recipient], privacy: Privacy
) -> list[str]:
    gone = (one for one in named if one not in final)
    return [privacy.address(address_text(one.address)) for one in islice(gone, MAX_LISTED)]


def _traps(tx: Transaction, privacy: Privacy) -> list[r.Trap]:
    return [_trap(hit, privacy) for hit in tx.trap_hits[:MAX_LISTED]]


def _trap(hit: TrapHit, privacy: Privacy) -> r.Trap:
    trap_class = hit.trap_class
    return r.Trap(
        privacy.address(address_text(hit.address)),
        hit.entry,
        hit.source,
        hit.line,
        hit.note,
        "" if trap_class == _PRISTINE else trap_class,
        hit.treatment,
        hit.shadow or hit.unproven,
    )


_PRISTINE: Final = TrapClass.PRISTINE.value
# For a transaction without a decision.
_OPEN: Final = r.Answer("", "", "accept")
_ACCEPT: Final = Verdict.ACCEPT
_DENY: Final = Verdict.DENY
_DEFER: Final = Verdict.DEFER
_RESULTS: Final[dict[r.Verdict, r.Result]] = {
    "accept": "accepted",
    "deny": "refused",
    "defer": "deferred",
    "hold": "accepted",
}


def verdict_word(verdict: Verdict) -> r.Verdict:
    """Return the value of a verdict; the attribute of an enumeration takes ten times as long."""
    if verdict is _DENY:
        return "deny"
    if verdict is _ACCEPT:
        return "accept"
    return "defer" if verdict is _DEFER else "hold"


def verdict_of(reply: Reply) -> r.Verdict:
    """Return the verdict that a reply expresses."""
    return "deny" if reply.code >= 500 else "defer" if reply.code >= 400 else "accept"


def result_of(reply: Reply) -> r.Result:
    """Return what a reply to a message or recipient makes of it."""
    return _RESULTS[verdict_of(reply)]


class _Known:
    """A client as it was recorded, with the facts that it depends on and that can change."""

    __slots__ = ("auth", "client", "helo", "session", "tls")

    def __init__(self, session: Session, client: r.Client) -> None:
        self.session = session
        self.helo = session.helo
        self.tls = session.tls
        self.auth = session.auth
        self.client = client

    def is_current(self, session: Session) -> bool:
        """Return whether the facts are the same; results of plugins can change at any time."""
        same = self.session is session and self.helo is session.helo and self.tls is session.tls
        return same and self.auth is session.auth and session.found is None


class Clients:
    """The clients of open connections: all records of a connection share one until it changes."""

    __slots__ = ("_known", "_privacy")

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self._known: dict[str, _Known] = {}

    def of(self, session: Session) -> r.Client:
        """Return who the client of a session is; `drop` must follow."""
        known = self._known.get(session.id)
        if known is not None and known.is_current(session):
            return known.client
        found = client(session, self._privacy)
        self._known[session.id] = _Known(session, found)
        return found

    def drop(self, session: Session) -> None:
        """Drop the client of a connection that has ended."""
        self._known.pop(session.id, None)


def client(session: Session, privacy: Privacy) -> r.Client:
    """Return who the client of a session is."""
    tls, auth, xclient = session.tls, session.auth, session.xclient
    return r.Client(
        session.peer.host,
        session.peer.port,
        _verified_name(session),
        text(session.helo),
        "" if tls is None else tls.version,
        "" if tls is None else tls.cipher,
        "" if tls is None else tls.peer_subject,
        "" if auth is None else privacy.address(auth.user),
        "" if auth is None else auth.mechanism,
        "" if session.via is None else str(session.via),
        session.protocol,
        session.listener,
        xclient or {},
    )


def _verified_name(session: Session) -> str:
    """Return the client's name that XCLIENT or a look-up (iprev) has verified, "" without one."""
    claimed = "" if session.xclient is None else session.xclient.get("NAME", "")
    iprev = None if claimed or session.found is None else session.found.get("iprev")
    if iprev is None or iprev.value != "pass":
        return claimed
    return text(str(iprev.facts.get("name", "")))


def listed(values: Sequence[object], privacy: Privacy) -> list[str]:
    """Return the first values as text; addresses in it are recorded as other addresses are."""
    return [privacy.sentence(str(one)) for one in values[:MAX_LISTED]]


def _results(found: Results, privacy: Privacy) -> list[r.PluginResult]:
    """Return what plugins found; addresses in it are recorded as other addresses are."""
    return [_result(one, privacy) for one in islice(found, MAX_LISTED)]


def _result(one: Result, privacy: Privacy) -> r.PluginResult:
    facts = {
        name: privacy.fact(value) if isinstance(value, str) else value
        for name, value in one.facts.items()
        if name not in _OWN_FIELDS
    }
    reason = text(str(one.facts.get("reason", "")))
    return r.PluginResult(one.name, one.value, one.score, reason, facts)


# Facts that are fields of the record.
_OWN_FIELDS: Final = frozenset({"score", "reason"})


def shadow(opinions: Sequence[Opinion], privacy: Privacy) -> list[r.Answer]:
    """Return the opinions without effect: of plugins in shadow mode, and about allowed mail."""
    return [
        r.Answer(
            one.method.removeprefix("on_"),
            one.plugin,
            verdict_word(one.decision.verdict),
            one.decision.reason,
            text(one.decision.text or ""),
            shadow=True,
            allowed=privacy.sentence(one.allowed),
        )
        for one in opinions
    ]


assert [verdict_word(one) for one in Verdict] == [one.value for one in Verdict] == list(_RESULTS)
