"""The standing of senders."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.plugins.states import LOGIN, WITH_AUTH, Add, Login

from gatepost import Plugin, deny
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins.standing import Standing
from gatepost.testing import MemoryStore, play

HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""
MAIL = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<{to}>
    S: 250
    C: DATA
    S: 354
    C: Subject: hello
    C:
    C: text
    C: .
    S: {reply}
"""
TRAP = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<trap@example.com>
    S: 250
    C: DATA
    S: 554
"""
# An acquainted sender is refused after the content.
LATE_TRAP = MAIL.format(to="trap@example.com", reply="554")
PASS = ("spf", "pass", {})
COUNTED = "gatepost_plugin_standing_known_senders_trapped"
RELAY = {"route": [{"for": ["*"], "to": "discard:", "relay_for": "authenticated"}]}


class Seen(Plugin):
    """Keeps the result."""

    after = frozenset({"standing"})

    def start(self):
        self.value = self.reason = None

    def on_rcpt(self, tx, rcpt):
        self.keep(tx)

    def on_message(self, tx):
        self.keep(tx)

    def keep(self, tx):
        found = tx.results.get("standing")
        if found is not None:
            self.value, self.reason = found.value, found.facts["reason"]


class Refuse(Plugin):
    """Refuses each message after its content."""

    def on_message(self, tx):
        return deny()


class Senders:
    """One store, and messages at different times."""

    def __init__(self):
        self.store = MemoryStore()

    def send(self, now, *results, text=MAIL, to="user@example.com", reply="250", **add):
        seen = Seen()
        adds = Add(mail=list(results), **add)
        text = HELLO + text.format(to=to, reply=reply)
        options = {"store": self.store, "now": now, "traps": ["trap@example.com"]}
        play(text, [adds, Standing(), seen], **options)
        return seen


@pytest.fixture
def senders():
    return Senders()


def test_a_domain_without_mail_on_record_is_a_stranger(senders):
    seen = senders.send("2024-01-01", PASS)
    assert (seen.value, seen.reason) == ("stranger", "no good mail of client.example on record")


def test_a_domain_is_acquainted_a_week_after_its_first_good_mail(senders):
    assert senders.send("2024-01-01", PASS).value == "stranger"
    assert senders.send("2024-01-07", PASS).value == "stranger"
    seen = senders.send("2024-01-08", PASS)
    assert (seen.value, seen.reason) == ("acquainted", "good mail of client.example for 7 days")


def test_a_domain_that_nothing_proves_has_no_standing(senders):
    senders.send("2024-01-01", PASS)
    for results in ([], [("spf", "fail", {})], [("spf", "softfail", {})]):
        assert senders.send("2024-02-01", *results).value is None


def test_the_author_domain_counts_if_only_dmarc_passes(senders):
    dmarc = {"message": [("dmarc", "pass", {"domain": "client.example"})]}
    senders.send("2024-01-01", **dmarc)
    assert senders.send("2024-02-01", **dmarc).value == "acquainted"


def test_mail_with_points_is_not_good(senders):
    senders.send("2024-01-01", PASS, ("uribl", "listed", {"score": 3}))
    assert senders.send("2024-02-01", PASS).value == "stranger"


MARKED = ("trap_memory", "marked", {"score": 3})


def test_mail_from_a_network_of_others_that_hit_traps_can_be_good(senders):
    senders.send("2024-01-01", PASS, MARKED)
    assert senders.send("2024-02-01", PASS).value == "acquainted"


def test_a_refusal_because_of_others_in_the_network_is_no_bad_mail(senders):
    senders.send("2024-01-01", PASS)
    text = HELLO + MAIL.format(to="user@example.com", reply="554")
    plugins = [Add(mail=[PASS, MARKED]), Standing(), Refuse()]
    play(text, plugins, store=senders.store, now="2024-02-01")
    assert senders.send("2024-02-02", PASS).value == "acquainted"


def test_a_trap_hit_ends_the_acquaintance(senders):
    senders.send("2024-01-01", PASS)
    senders.send("2024-02-01", PASS, text=LATE_TRAP)
    seen = senders.send("2024-02-02", PASS)
    assert (seen.value, seen.reason) == ("stranger", "bad mail of client.example on record")
    senders.send("2024-04-20", PASS)
    assert senders.send("2024-05-10", PASS).value == "acquainted"


@pytest.mark.parametrize("words", ["class=recycled", "class=typo"])
def test_mail_to_a_former_colleague_does_not_end_the_acquaintance(senders, words):
    senders.send("2024-01-01", PASS)
    text = HELLO + TRAP.partition("S: 250\n    C: DATA")[0] + "S: 550\n"
    plugins = [Add(mail=[PASS]), Standing()]
    traps = [f"trap@example.com {words}"]
    play(text, plugins, store=senders.store, now="2024-02-01", traps=traps)
    assert senders.send("2024-02-02", PASS).value == "acquainted"


def trusted(senders):
    """Record that a user has written to a@client.example."""
    text = LOGIN + MAIL.format(to="a@client.example", reply="250").replace(
        "FROM:<a@client.example>", "FROM:<user@example.com>"
    )
    plugins = [Login(), Standing()]
    play(text, plugins, store=senders.store, now="2024-01-01", config=WITH_AUTH | RELAY)


def test_an_address_that_a_user_has_written_to_is_trusted(senders):
    trusted(senders)
    seen = senders.send("2024-01-02", PASS)
    assert (seen.value, seen.reason) == ("trusted", "a user has written to a@client.example")
    assert senders.send("2024-01-02").value is None
    assert senders.send("2025-02-02", PASS).value == "stranger"


@pytest.mark.parametrize(
    ("sender", "field"),
    [("", "Subject: hello"), ("user@example.com", "Auto-Submitted: auto-replied (vacation)")],
)
def test_an_automatic_answer_makes_no_sender_trusted(senders, sender, field):
    """A vacation program answers to spam too."""
    text = LOGIN + MAIL.format(to="a@client.example", reply="250").replace(
        "FROM:<a@client.example>", f"FROM:<{sender}>"
    ).replace("Subject: hello", field)
    plugins = [Login(), Standing()]
    play(text, plugins, store=senders.store, now="2024-01-01", config=WITH_AUTH | RELAY)
    assert senders.send("2024-01-02", PASS).value == "stranger"


class Wrote(Plugin):
    """States that a user has written to addresses, as a plugin that sees other mail does."""

    class Options(Plugin.Options):
        addresses: tuple[str, ...] = ()

    def on_message(self, tx):
        for one in self.options.addresses:
            tx.results.add("correspondent", "written", address=one)


def wrote(senders, *addresses):
    text = HELLO + MAIL.format(to="user@example.com", reply="250")
    plugins = [Standing(), Wrote(addresses=addresses)]
    return play(text, plugins, store=senders.store, now="2024-01-01").metrics


def test_a_plugin_can_state_that_a_user_has_written_to_an_address(senders):
    wrote(senders, "b@other.example", "A@Client.example", "user@example.com")
    assert senders.send("2024-01-02", PASS).value == "trusted"
    assert "sent user@example.com" not in senders.store.values("standing")


@pytest.mark.parametrize("text", ["", "nobody", "a b@client.example"])
def test_text_that_is_no_address_is_counted(senders, text):
    metrics = wrote(senders, text)
    assert metrics.value("gatepost_plugin_standing_not_recorded") == 1


def test_a_program_can_state_that_a_user_has_written_to_addresses(senders):
    standing = Standing()

    async def program():
        await standing.wrote_to(f"name{at}@client.example" for at in range(1200))
        with pytest.raises(ValueError, match="local-part@domain"):
            await standing.wrote_to(["nobody"])
        return [await standing.store.get(f"sent name{at}@client.example") for at in (0, 1199)]

    found = asyncio.run(program())
    assert all(isinstance(one, int) for one in found)


def test_nothing_is_recorded_if_correspondents_do_not_count(senders):
    standing = Standing(correspondents="0s")

    async def program():
        await standing.wrote_to(["a@client.example"])
        return await standing.store.get("sent a@client.example")

    assert asyncio.run(program()) is None


def test_without_the_store_every_sender_is_a_stranger(play_silent):
    seen = Seen()
    text = HELLO + MAIL.format(to="user@example.com", reply="250")
    play_silent(text, [Add(mail=[PASS]), Standing(), seen])
    assert (seen.value, seen.reason) == ("stranger", "the store is unavailable")


TRUSTED_HIT = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<trap@example.com>
    S: 550
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: 354
    C: Subject: hello
    C:
    C: text
    C: .
    S: 250
"""


def hit(senders, now="2024-02-01", text=TRAP, traps="trap@example.com", **options):
    """Play a hit; return the result of the dialogue."""
    plugins = [Add(mail=[PASS]), Standing(**options)]
    return play(HELLO + text, plugins, store=senders.store, now=now, traps=[traps])


@pytest.fixture
def logs():
    """The events of the log, whatever other tests of the process have configured."""
    with capture_logs() as events:
        yield events


def warnings(logs):
    return [one for one in logs if one["event"] == "trap hit by a known sender"]


def test_a_trap_that_an_acquainted_sender_hits_is_a_warning(senders, logs):
    senders.send("2024-01-01", PASS)
    result = hit(senders, text=LATE_TRAP)
    (line,) = warnings(logs)
    assert (str(line["sender"]), line["standing"]) == ("a@client.example", "acquainted")
    assert line["trap"] == "trap@example.com (traps:1)"
    assert line["ref"].endswith(".1")
    assert result.metrics.value(COUNTED, standing="acquainted") == 1


def test_a_trap_that_a_stranger_hits_is_no_warning(senders, logs):
    hit(senders, notify="postmaster@example.com")
    assert warnings(logs) == []


def test_a_message_that_a_trap_did_not_stop_is_a_warning_too(senders, logs):
    trusted(senders)
    hit(senders, "2024-01-02", TRUSTED_HIT)
    assert [one["standing"] for one in warnings(logs)] == ["trusted"]


def test_a_trap_without_an_effect_is_no_warning(senders, logs):
    senders.send("2024-01-01", PASS)
    config = {"traps": {"table": {"pristine": {"acquainted": "none"}}}}
    plugins = [Add(mail=[PASS]), Standing()]
    text = HELLO + MAIL.format(to="trap@example.com", reply="250")
    traps = ["trap@example.com"]
    play(text, plugins, store=senders.store, now="2024-02-01", traps=traps, config=config)
    assert warnings(logs) == []


def test_without_notify_no_mail_is_sent(senders, logs):
    senders.send("2024-01-01", PASS)
    assert hit(senders, text=LATE_TRAP).submitted == []
    assert "notice not sent" not in {one["event"] for one in logs}


def test_the_postmaster_gets_one_mail_a_day_for_each_entry(senders, logs):
    trusted(senders)
    notify = {"text": TRUSTED_HIT, "notify": "postmaster@example.com"}
    (sent,) = hit(senders, "2024-01-02", **notify).submitted
    assert hit(senders, "2024-01-02T20:00:00", **notify).submitted == []
    assert len(hit(senders, "2024-01-02T20:00:00", traps="/^trap@/", **notify).submitted) == 1
    assert len(hit(senders, "2024-01-03T01:00:00", **notify).submitted) == 1
    assert len(warnings(logs)) == 4
    text = sent.content.decode()
    assert "To: postmaster@example.com" in text
    assert "Sender:     <a@client.example>, trusted: a user has written to" in text
    assert warnings(logs)[0]["ref"] in text


def test_a_mail_that_cannot_be_sent_is_logged(senders, logs):
    trusted(senders)
    result = hit(senders, "2024-01-02", TRUSTED_HIT, notify="postmaster@elsewhere.example")
    assert result.submitted == []
    (line,) = [one for one in logs if one["event"] == "notice not sent"]
    assert line["to"] == "postmaster@elsewhere.example"


def test_notify_must_be_an_address():
    with pytest.raises(OptionsError, match="local-part@domain"):
        Standing(notify="nobody at all")
