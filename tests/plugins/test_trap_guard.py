"""The guard of registered traps."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs
from tests.plugins.states import LOGIN, WITH_AUTH, Add, Login, Trouble, TroubledStore, troubled

from gatepost.plugin.base import Installed
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins.standing import Standing
from gatepost.plugins.trap_guard import TrapGuard
from gatepost.testing import MemoryRegistry, MemoryServer, MemoryStore, VirtualClock, perform, play
from gatepost.traps.guard import MOST_OF_DOMAIN
from gatepost.traps.notes import TrapState

HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""
TRAP = "former.colleague@example.com"
KNOWN = {"recipients": {"domains": ["example.com"], "known": ["user@example.com"]}}
COUNTER = "gatepost_plugin_trap_guard_"


def mail(domain, *, to=(TRAP, "user@example.com"), fields="", number=1, end="250"):
    """Return a message; RCPT for the trap is answered as for an unknown recipient."""
    rcpts = ""
    for one in to:
        reply = 250 if one == "user@example.com" else 550
        rcpts += f"    C: RCPT TO:<{one}>\n    S: {reply}\n"
    return f"""
    C: MAIL FROM:<a@mail.{domain}>
    S: 250
{rcpts}
    C: DATA
    S: 354
    C: Message-ID: <{number}@{domain}>
    C: Subject: An offer
{fields}    C:
    C: text
    C: .
    S: {end}
"""


def alone(domain, to=TRAP):
    """Return a message to a trap only, which does not get to its content."""
    return f"""
    C: MAIL FROM:<a@mail.{domain}>
    S: 250
    C: RCPT TO:<{to}>
    S: 550
    C: RSET
    S: 250
"""


def line(entry=TRAP, state="armed", trap_class="learned", **words):
    more = " ".join(f"{name}={value}" for name, value in words.items())
    return f"{entry} class={trap_class} {more} by=test at=2024-01-01T00:00:00Z state={state}"


def known(domain, value="acquainted"):
    """Return a plugin that adds the results of a known sender."""
    passed = ("spf", "pass", {})
    found = ("standing", value, {"domain": f"mail.{domain}", "reason": "good mail for 9 days"})
    return Add(mail=[passed, found])


class Site:
    """One store, one registry, and senders one after the other."""

    def __init__(self, *lines, store=None):
        self.store = store or MemoryStore()
        self.registry = MemoryRegistry(*(lines or (line(),)))
        self.trap_lists = ()

    def play(self, text, *plugins, now="2024-02-01T00:10", shadow=False, config=None, **options):
        guard = TrapGuard(**options)
        chain = [*plugins, Installed(guard, shadow=True) if shadow else guard]
        given = {"store": self.store, "registry": self.registry, "now": now}
        with capture_logs() as self.logs:
            config = KNOWN if config is None else config
            return play(HELLO + text, chain, config=config, traps=self.trap_lists, **given)

    def send(self, domain, standing="acquainted", text=None, **options):
        given = {name: options.pop(name) for name in ("to", "fields", "number") if name in options}
        return self.play(text or mail(domain, **given), known(domain, standing), **options)

    def events(self):
        names = ("known sender", "trap disarmed")
        return [one["event"] for one in self.logs if one["event"].startswith(names)]

    def trap(self, entry=TRAP):
        return self.registry.find(entry)


@pytest.fixture
def site():
    return Site()


def test_a_known_sender_is_exempt_from_the_trap_at_once(site):
    played = site.send("partner.example")
    trap = site.trap()
    assert (trap.exempt, trap.state, trap.by) == (("partner.example",), "armed", "trap_guard")
    assert trap.reason.startswith("acquainted sender, see ")
    (event,) = [one for one in site.logs if one["event"] == "known sender exempted"]
    assert (event["trap"], event["domain"]) == (TRAP, "partner.example")
    assert (str(event["sender"]), event["standing"]) == ("a@mail.partner.example", "acquainted")
    assert event["ref"].endswith(".1")
    assert played.metrics.value(f"{COUNTER}exempted") == 1
    assert played.metrics.value(f"{COUNTER}known_senders", standing="acquainted") == 1


def test_an_exempt_sender_is_not_examined_again(site):
    site.send("partner.example")
    played = site.send("partner.example", number=2)
    assert len(site.registry.history(TRAP)) == 2
    assert [one for one in played.metrics if "known_senders" in one.name] == []


@pytest.mark.parametrize("trap_class", ["pristine", "seeded", "recycled", "learned"])
@pytest.mark.parametrize("standing", ["acquainted", "trusted"])
def test_every_registered_trap_is_guarded(trap_class, standing):
    site = Site(line(trap_class=trap_class))
    refused_late = trap_class in ("pristine", "seeded") and standing == "acquainted"
    text = mail("partner.example", end="554" if refused_late else "250")
    text = text.replace("S: 550", "S: 250") if refused_late else text
    site.send("partner.example", standing, text=text)
    assert site.trap().exempt == ("partner.example",)


@pytest.mark.parametrize("standing", ["stranger", "unknown"])
def test_strangers_are_not_exempt(site, standing):
    late = mail("partner.example", end="554").replace("S: 550", "S: 250")
    site.send("partner.example", standing, text=late)
    assert site.trap().exempt == ()
    assert site.events() == []


def test_a_sender_without_a_proven_domain_is_not_exempt(site):
    late = Add(mail=[("standing", "acquainted", {})])
    site.play(mail("partner.example"), late)
    assert site.trap().exempt == ()


def test_authenticated_senders_are_not_examined(site):
    relay = {"route": [{"for": ["*"], "to": "discard:", "relay_for": "authenticated"}]}
    text = LOGIN.partition("S: 250\n")[2] + mail("partner.example").replace("550", "550 5.1.1*")
    site.play(text, Login(), known("partner.example"), config=WITH_AUTH | KNOWN | relay)
    assert site.trap().exempt == ()


def test_traps_of_lists_are_left_to_the_administrator():
    site = Site(line("other@example.com"))
    site.trap_lists = [f"{TRAP} class=learned"]
    site.send("partner.example")
    assert site.events() == []
    assert len(site.registry.history("other@example.com")) == 1


def test_three_unrelated_correspondents_disarm_a_trap(site):
    for number, domain in enumerate(("one.example", "two.example")):
        site.send(domain, number=number)
        assert site.trap().state == "armed"
    played = site.send("three.example", number=3)
    assert site.events() == ["known sender exempted", "trap disarmed"]
    assert site.trap().state == "shadow"
    assert site.trap().exempt == ("one.example", "two.example", "three.example")
    assert site.trap().reason.startswith("3 unrelated known senders, see ")
    assert played.metrics.value(f"{COUNTER}disarmed") == 1


def test_a_trap_that_is_armed_again_needs_three_others(site):
    for at in range(3):
        site.send(f"host{at}.example", number=at)
    site.registry.set_state(TRAP, TrapState.ARMED, "admin", "")
    for at in range(3, 5):
        site.send(f"host{at}.example", number=at)
    assert site.trap().state == "armed"
    site.send("host5.example", number=5)
    assert site.trap().state == "shadow"


def test_correspondents_count_for_a_while(site):
    site.send("one.example", number=1)
    site.send("two.example", number=2)
    site.send("three.example", number=3, now="2024-06-01")
    assert site.trap().state == "armed"


def test_copies_of_one_message_are_one_correspondent(site):
    copy = "    C: X: 1\n"
    for at in range(3):
        text = mail(f"host{at}.example", fields=copy).replace(f"<1@host{at}.example>", "<1@x>")
        site.send(f"host{at}.example", text=text)
    assert site.trap().state == "armed"
    assert len(site.trap().exempt) == 3


def test_a_message_without_content_exempts_and_does_not_count(site):
    for at in range(6):
        site.send(f"host{at}.example", text=alone(f"host{at}.example"))
    assert len(site.trap().exempt) == 6
    assert site.trap().state == "armed"


@pytest.mark.parametrize("one_thread", [True, False])
def test_an_attacker_who_names_the_trap_to_others_only_exempts_them(one_thread):
    site = Site()
    for at in range(40):
        thread = 0 if one_thread else at
        field = f"    C: In-Reply-To: <{thread}@attacker.example>\n"
        site.send(f"host{at}.example", fields=field, number=at)
    assert site.trap().state == "armed"
    assert len(site.trap().exempt) == 40


def test_a_thousand_threads_disarm_nothing():
    site = Site()
    fields = (
        "    C: References: <{0}@attacker.example>\n    C: In-Reply-To: <{0}@attacker.example>\n"
    )

    async def scenario():
        plugins = [Named(), TrapGuard()]
        config = KNOWN | {"limits": {"transactions": 1000, "errors": 1001}}
        given = {"store": site.store, "registry": site.registry, "config": config}
        async with MemoryServer(plugins, **given) as server:
            text = HELLO
            for at in range(1000):
                text += mail(f"host{at}.example", fields=fields.format(at), number=at)
            await perform(server.connect(), text)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert site.trap().state == "armed"
    assert [one for one in logs if one["event"] == "trap disarmed"] == []


class Named(Add):
    """Adds the results of a known sender with the domain of the reverse-path."""

    def on_mail(self, tx, sender):
        tx.results.add("spf", "pass")
        tx.results.add("standing", "acquainted", domain=sender.domain, reason="")


def test_more_exemptions_than_a_trap_can_have_are_logged(site):
    for at in range(51):
        site.send(f"host{at}.example", text=alone(f"host{at}.example"))
    assert len(site.trap().exempt) == 50
    (event,) = [one for one in site.logs if one["event"] == "sender not exempted"]
    assert "at most 50 exempt domains" in event["problem"]


def test_a_sender_that_hits_several_traps_in_a_message_is_not_exempt():
    site = Site(line(), line("second@example.com"))
    site.send("partner.example", to=(TRAP, "second@example.com", "user@example.com"))
    assert site.events() == ["known sender not exempted"]
    assert (site.trap().exempt, site.trap("second@example.com").exempt) == ((), ())


def test_a_sender_that_hits_one_trap_after_the_other_is_not_exempt_any_more():
    names = [f"t{number}@example.com" for number in range(MOST_OF_DOMAIN + 2)]
    site = Site(*map(line, names))
    for at, name in enumerate(names):
        site.send("partner.example", "trusted", to=(name, "user@example.com"), number=at)
    exempt = [site.trap(name).exempt for name in names]
    assert exempt == [("partner.example",)] * MOST_OF_DOMAIN + [()] * 2


@pytest.mark.parametrize("standing", ["acquainted", "trusted"])
def test_free_mail_neither_exempts_nor_disarms(site, standing):
    for at, domain in enumerate(("gmail.com", "outlook.com", "gmx.de", "yahoo.com")):
        text = mail(domain, number=at).replace("a@mail.", "a@")
        plugin = Add(mail=[("spf", "pass", {}), ("standing", standing, {"domain": domain})])
        site.play(text, plugin)
        (event,) = [one for one in site.logs if one["event"] == "known sender not exempted"]
        assert event["reason"] == "any person can get an address in this domain"
    assert (site.trap().exempt, site.trap().state) == ((), "armed")


def test_hits_of_a_trap_in_shadow_exempt_too():
    site = Site(line(state="shadow"))
    site.send("partner.example")
    assert site.trap().exempt == ("partner.example",)


def test_a_trap_in_shadow_is_not_disarmed_again():
    site = Site(line(state="shadow"))
    for at in range(3):
        site.send(f"host{at}.example", number=at)
    (event,) = [one for one in site.logs if one["event"] == "trap not disarmed"]
    assert event["problem"] == "already shadow"


def test_in_shadow_mode_of_the_plugin_nothing_changes(site):
    for at in range(3):
        site.send(f"host{at}.example", number=at, shadow=True)
    assert site.events() == ["known sender exempted", "trap disarmed"]
    assert [one["shadowed"] for one in site.logs if one["event"] == "trap disarmed"] == [True]
    assert len(site.registry.history(TRAP)) == 1


def test_a_damaged_correspondent_in_the_store_does_not_count(site):
    site.store.put("trap_guard", f"correspondent {TRAP} 0", "nonsense")
    site.store.put("trap_guard", f"correspondent {TRAP} 1", 7)
    for at in range(3):
        site.send(f"host{at}.example", number=at)
    assert site.trap().state == "armed"
    assert len(site.trap().exempt) == 3


# Notices


def test_the_postmaster_gets_one_mail_a_day_for_each_trap():
    site = Site(line(), line("second@example.com"))
    notify = {"notify": "user@example.com"}
    (sent,) = site.send("one.example", number=1, **notify).submitted
    assert site.send("two.example", number=2, now="2024-02-01T20:00", **notify).submitted == []
    second = ("second@example.com", "user@example.com")
    assert len(site.send("three.example", to=second, **notify).submitted) == 1
    assert len(site.send("four.example", number=4, now="2024-02-02T01:00", **notify).submitted) == 1
    text = sent.content.decode()
    assert "To: user@example.com" in text
    assert "The domain one.example is exempt from this trap now." in text
    assert f"{TRAP} in registry" in text


def test_in_shadow_mode_the_notice_has_it(site):
    (sent,) = site.send("one.example", shadow=True, notify="user@example.com").submitted
    assert "trap_guard is in shadow mode, so nothing was changed." in sent.content.decode()


def test_the_notice_about_several_traps_has_no_exemption():
    site = Site(line(), line("second@example.com"))
    to = (TRAP, "second@example.com", "user@example.com")
    (sent,) = site.send("partner.example", to=to, notify="user@example.com").submitted
    text = sent.content.decode()
    assert "The domain was not exempted: the message hits several traps." in text


def test_a_notice_without_a_route_is_logged(site):
    assert site.send("one.example", notify="user@elsewhere.example").submitted == []
    (event,) = [one for one in site.logs if one["event"] == "notice not sent"]
    assert event["to"] == "user@elsewhere.example"
    assert site.trap().exempt == ("one.example",)


@pytest.mark.parametrize("notify", ["", "user@example.com"])
def test_standing_does_not_send_the_same_notice(site, notify):
    site.store.put("standing", "good mail.one.example", 1)
    plugins = [Add(mail=[("spf", "pass", {})]), Standing(notify="user@example.com")]
    played = site.play(mail("one.example"), *plugins, notify=notify)
    assert site.trap().exempt == ("one.example",)
    assert len(played.submitted) == 1


# The budget


def accept(number):
    """Return as many ordinary messages."""
    return mail("ordinary.example", to=("user@example.com",)) * number


def strangers(number):
    texts = (mail(f"stranger{at}.example", end="554") for at in range(number))
    return "".join(text.replace("S: 550", "S: 250") for text in texts)


def test_losses_over_the_budget_are_reported_once_a_day(site):
    site.play(accept(3))
    played = site.send(
        "one.example", text=mail("one.example") + "T: 1h\n", notify="user@example.com"
    )
    (event,) = [one for one in site.logs if one["event"] == "expected losses over budget"]
    # 1 hit in 3 + 1 accepted messages of 30 days, 1 source, 1 first mistake
    assert (event["expected"], event["budget"]) == (25000, 1)
    assert played.metrics.value(f"{COUNTER}expected_losses") == 25000
    assert played.metrics.value(f"{COUNTER}expected_losses_upper") > 25000
    budget = played.submitted[-1].content.decode()
    assert "expected to refuse 25000.00 of 100,000 legitimate messages" in budget
    assert "1 messages from 1 sources hit learned traps" in budget
    again = site.play("T: 1h\n", now="2024-02-01T10:10", notify="user@example.com")
    assert again.submitted == []
    assert (
        len(site.play("T: 1h\n", now="2024-02-02T10:10", notify="user@example.com").submitted) == 1
    )


def test_messages_of_users_are_no_legitimate_mail_from_outside(site):
    text = LOGIN.partition("S: 250\n")[2] + accept(2)
    site.play(text, Login(), config=WITH_AUTH | KNOWN)
    assert [key for key in site.store.values("trap_guard") if key.startswith("accepted")] == []


def test_losses_within_the_budget_are_not_reported(site):
    site.send("one.example", text=mail("one.example") + "T: 1h\n", budget=1e6)
    assert "expected losses over budget" not in {one["event"] for one in site.logs}


def test_without_a_legitimate_sender_nothing_is_reported(site):
    played = site.play(accept(1) + strangers(2) + "T: 1h\n", notify="user@example.com")
    assert "expected losses over budget" not in {one["event"] for one in site.logs}
    assert played.metrics.value(f"{COUNTER}expected_losses") == 0
    assert played.metrics.value(f"{COUNTER}expected_losses_upper") > 1


def test_a_sender_is_counted_once(site):
    for number in range(2):
        site.send("one.example", number=number, shadow=True)
    values = site.store.values("trap_guard")
    assert [values[key] for key in values if key.startswith("once")] == [1]


def test_a_trap_with_two_legitimate_senders_is_no_first_mistake_any_more(site):
    site.send("one.example", number=1)
    site.send("two.example", number=2, now="2024-02-03")
    played = site.play("T: 1h\n", now="2024-02-03T05:10")
    assert played.metrics.value(f"{COUNTER}expected_losses") == 0


def test_hits_and_sources_are_those_of_the_last_thirty_days(site):
    site.play(strangers(3))
    values = site.store.values("trap_guard")
    assert [values[key] for key in values if key.startswith("hits ")] == [3]
    assert [values[key] for key in values if key.startswith("sources ")] == [1]
    assert values.keys().isdisjoint({"once 19754"})
    site.play(strangers(1), now="2024-02-02T05:00")
    values = site.store.values("trap_guard")
    assert sorted(values[key] for key in values if key.startswith("hits ")) == [1, 3]


def test_only_learned_traps_are_in_the_estimate():
    site = Site(line(trap_class="recycled"))
    site.send("one.example")
    assert not [key for key in site.store.values("trap_guard") if key.startswith(("hits", "once"))]


# Workers and outages


def test_workers_count_together():
    site = Site()

    async def scenario():
        clock, given = VirtualClock(), {"store": site.store, "registry": site.registry}
        async with AsyncExitStack() as stack:
            servers = []
            for _ in range(2):
                server = MemoryServer([Named(), TrapGuard()], clock=clock, config=KNOWN, **given)
                servers.append(await stack.enter_async_context(server))
            for at, server in enumerate((*servers, servers[0])):
                assert site.trap().state == "armed"
                text = HELLO + mail(f"host{at}.example", number=at)
                await perform(server.connect(), text)

    asyncio.run(scenario())
    assert site.trap().state == "shadow"


def test_a_real_store_has_the_correspondents(play_real):
    registry = MemoryRegistry(line())
    for number in range(3):
        assert registry.find(TRAP).state == "armed"
        text = HELLO + mail(f"host{number}.example", number=number)
        play_real(text, [Named(), TrapGuard()], registry=registry, config=KNOWN)
    assert registry.find(TRAP).state == "shadow"


@pytest.mark.parametrize("kind", ["down", "read-only"])
def test_without_the_store_nothing_changes(kind):
    site = Site(store=TroubledStore(kind))
    played = site.send("one.example", notify="user@example.com")
    assert site.trap().exempt == ()
    assert played.metrics.value(f"{COUNTER}not_recorded") == 1
    assert "trap guard failed" in {one["event"] for one in site.logs}


def test_an_outage_at_the_estimate_is_counted():
    store = TroubledStore()
    site = Site(store=store)
    played = site.play(troubled("large") + "T: 1h\n", Trouble(store))
    assert played.metrics.value(f"{COUNTER}not_recorded") == 1


def test_accepted_messages_that_cannot_be_counted_are_counted_as_such(site):
    site.store.put("trap_guard", "accepted 19754", "no number")
    played = site.play(accept(1) + "T: 2m\n")
    assert played.metrics.value(f"{COUNTER}not_recorded") == 1


def test_a_registry_that_cannot_be_written_is_logged(site, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site.registry, "change", fail)
    site.send("one.example")
    (event,) = [one for one in site.logs if one["event"] == "trap guard failed"]
    assert "o space left" in event["problem"]


def test_wrong_options_are_reported():
    with pytest.raises(OptionsError, match="local-part@domain"):
        TrapGuard(notify="nobody at all")
    with pytest.raises(OptionsError, match="budget of 0 or more"):
        TrapGuard(budget=-1)
