"""The host: methods bound to hooks, plugins started and stopped in order."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from gatepost.model.additions import Verb
from gatepost.model.decision import Decision, Verdict, accept, defer, deny
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.plugin.base import Installed, OptionsError, Plugin
from gatepost.plugin.clock import SystemClock
from gatepost.plugin.hooks import HOOKS, METHODS, accepting, reply_for
from gatepost.plugin.host import PluginError, PluginHost
from gatepost.plugin.scope import Scope

# The facts of a transaction that a chain reads.
NO_TX = SimpleNamespace(acting=None, message=None)


def host(*plugins, deadline=30.0):
    return PluginHost([Installed(one) for one in plugins], deadline)


def named(name, **methods):
    plugin = type("Some", (Plugin,), methods)()
    plugin.name = name
    return plugin


def test_every_overridden_method_is_bound():
    methods = {name: lambda *_: None for name in METHODS}
    made = host(named("all", commands={"XTEST": Verb()}, **methods))
    for chain in made.chains.values():
        assert [len(stage) for stage in (chain.observers, chain.deciders, chain.followers)] == [
            1
        ] * 3
    assert [len(chain.followers) for chain in made.notifications.values()] == [1] * 10
    assert len(made.after_any.followers) == len(made.lookup.deciders) == 1
    assert made.notifier


def test_methods_that_are_not_overridden_are_not_bound():
    made = host(Plugin())
    assert made.busy == {}
    assert not any(made.chains.values())
    assert not any(made.notifications.values())
    assert (made.after_any, bool(made.lookup), bool(made.notifier)) == (None, False, False)


def test_the_deadline_and_on_error_reach_the_chain():
    made = PluginHost([Installed(named("a", on_rcpt=lambda *_: None), "deny")], 7.0)
    chain = made.chains["rcpt"]
    (one,) = chain.deciders
    assert (one.plugin, one.name, one.on_error, one.answers) == ("a", "on_rcpt", "deny", True)
    assert (one.timeout, one.codes) == (7.0, (250, 251, 252))


def test_a_timeout_of_its_own_reaches_the_chain():
    plugin = named("a", on_rcpt=lambda *_: None, observe_rcpt=lambda *_: None)
    chain = PluginHost([Installed(plugin, timeout=2.0, shadow=True)], 7.0).chains["rcpt"]
    assert [(one.timeout, one.shadow) for one in (*chain.deciders, *chain.observers)] == [
        (2.0, True)
    ] * 2


def test_a_problem_names_the_plugin():
    with pytest.raises(
        PluginError, match=r"^plugin mine: .*test_host.py:\d+: on_rcpts is not a hook, did you mean"
    ):
        host(named("mine", on_rcpts=lambda *_: None))


@pytest.mark.parametrize("method", ["on_rcpt", "start", "stop"])
def test_a_plugin_with_a_hook_or_a_life_is_not_idle(method):
    assert host(named("mine", **{method: lambda *_: None})).idle == []


def test_a_plugin_without_hooks_is_logged_at_start():
    with capture_logs() as logs:
        asyncio.run(host(named("empty"), named("mine", on_rcpt=lambda *_: None)).start())
    assert logs == [{"event": "plugin without hooks", "log_level": "warning", "plugin": "empty"}]


def test_the_order_is_listed_by_hook_and_stage():
    first = named("a", on_rcpt=lambda *_: None, observe_rcpt=lambda *_: None)
    second = named("b", on_rcpt=lambda *_: None, after_mail=lambda *_: None)
    assert list(host(first, second).order()) == [
        ("mail", "after", ["b"]),
        ("rcpt", "observe", ["a"]),
        ("rcpt", "on", ["a", "b"]),
    ]


def test_the_order_has_look_ups_and_what_follows_every_hook():
    made = host(named("a", on_lookup=lambda *_: None, after_any=lambda *_: None))
    assert list(made.order()) == [("any", "after", ["a"]), ("lookup", "on", ["a"])]
    assert set(made.busy) == set(HOOKS)


class Recording(Plugin):
    def __init__(self, name, log, fails=""):
        super().__init__()
        self.name, self.events, self.fails = name, log, fails

    async def start(self):
        await asyncio.sleep(0)
        self.record("start")

    async def stop(self):
        self.record("stop")

    def record(self, event):
        if event == self.fails:
            raise RuntimeError("no")
        self.events.append(f"{event} {self.name}")


def test_plugins_start_in_order_and_stop_in_reverse():
    events = []
    made = host(Recording("a", events), Recording("b", events))

    async def start_and_stop():
        await made.start()
        await made.stop()

    asyncio.run(start_and_stop())
    assert events == ["start a", "start b", "stop b", "stop a"]


def test_start_and_stop_can_be_synchronous():
    events = []

    class Plain(Plugin):
        def start(self):
            events.append("start")

        def stop(self):
            events.append("stop")

    made = host(Plain())

    async def start_and_stop():
        await made.start()
        await made.stop()

    asyncio.run(start_and_stop())
    assert events == ["start", "stop"]


def test_a_failed_start_stops_the_plugins_already_started():
    events = []
    made = host(Recording("a", events), Recording("b", events, "start"), Recording("c", events))
    with pytest.raises(PluginError) as caught:
        asyncio.run(made.start())
    problem = str(caught.value)
    assert problem.startswith(f"plugin b: start() failed: {__file__}:")
    assert problem.endswith(": RuntimeError: no")
    assert events == ["start a", "stop a"]


def test_a_cancelled_start_stops_the_plugins_already_started():
    stopped = []

    async def forever(_self):
        await asyncio.Event().wait()

    async def stop(self):
        stopped.append(self.name)

    async def main():
        ready, waiting = named("ready", stop=stop), named("waiting", start=forever, stop=stop)
        starting = asyncio.create_task(host(ready, waiting).start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()

    asyncio.run(main())
    assert stopped == ["ready"]


def test_a_failed_stop_is_logged_and_the_others_stop():
    events = []
    made = host(Recording("a", events), Recording("b", events, "stop"), Recording("c", events))
    with capture_logs() as logs:
        asyncio.run(made.stop())
    assert events == ["stop c", "stop a"]
    assert [(one["plugin"], one["method"]) for one in logs] == [("b", "stop")]


def test_a_blocking_plugin_runs_synchronous_methods_in_a_thread():
    seen = {}

    class Slow(Plugin):
        blocking = True

        def on_rcpt(self, *_args):
            seen["rcpt"] = threading.current_thread()
            return deny("no")

        async def on_mail(self, *_args):
            seen["mail"] = threading.current_thread()

    chains = host(Slow()).chains

    async def decide():
        tx = SimpleNamespace(acting=None)
        assert await chains["mail"].decide(tx, None) is None
        return await chains["rcpt"].decide(tx, None)

    answer = asyncio.run(decide())
    assert (answer.decision, answer.by) == (deny("no"), "slow")
    assert seen["mail"] is threading.main_thread()
    assert seen["rcpt"] is not threading.main_thread()


def test_a_blocking_plugin_has_a_deadline():
    release = threading.Event()

    class Stuck(Plugin):
        blocking = True

        def on_rcpt(self, *_args):
            release.wait()
            return accept()

    async def decide():
        try:
            return await host(Stuck(), deadline=0.01).chains["rcpt"].decide(NO_TX, None)
        finally:
            release.set()

    assert asyncio.run(decide()).decision.code == 451


@pytest.mark.parametrize(
    ("hook", "decision", "reply"),
    [
        ("rcpt", deny(), "550 5.7.1 Refused by local policy"),
        ("rcpt", defer(), "450 4.7.1 Refused by local policy for now, try again later"),
        ("data", deny(), "554 5.7.1 Refused by local policy"),
        ("data", defer(), "451 4.7.1 Refused by local policy for now, try again later"),
        ("rcpt", deny("no", code=553, enhanced="5.1.3"), "553 5.1.3 no"),
        ("rcpt", defer("x", disconnect=True), "421 4.7.1 x"),
        ("rcpt", defer("x", code=450, disconnect=True), "450 4.7.1 x"),
        ("rcpt", deny("x", disconnect=True), "550 5.7.1 x"),
        ("rcpt", deny(""), "550 5.7.1 "),
        ("connect", deny(), "554 5.7.1 Refused by local policy"),
        ("connect", defer(), "421 4.7.0 Refused by local policy for now, try again later"),
    ],
)
def test_the_reply_of_a_refusal(hook, decision, reply):
    made = reply_for(hook, decision)
    assert made.encoded.decode() == f"{reply}\r\n"
    assert made.close == (decision.disconnect or hook == "connect")


@pytest.mark.parametrize("hook", HOOKS)
def test_the_default_replies_are_of_the_right_class(hook):
    assert reply_for(hook, Decision(Verdict.DENY)).code // 100 == 5
    assert reply_for(hook, Decision(Verdict.DEFER)).code // 100 == 4


def test_options_are_checked():
    class Limited(Plugin):
        class Options(Plugin.Options):
            most: int = 3

    assert Limited().options.most == 3
    assert Limited(most=5).options.most == 5
    with pytest.raises(OptionsError, match=r'^Limited: moost: .* mean "most"'):
        Limited(moost=5)
    with pytest.raises(OptionsError, match=r'^Limited: most: expected a whole number, found "5"$'):
        Limited(most="5")


def test_options_must_be_derived():
    class Other(Plugin):
        class Options:
            most: int = 3

    with pytest.raises(OptionsError, match=r"^Other: expected class Options\(Plugin\.Opt"):
        Other()


def test_the_default_name_is_that_of_the_class():
    class NoMondays(Plugin):
        pass

    assert NoMondays().name == "no_mondays"


def test_the_system_clock_is_in_utc():
    clock = SystemClock()
    before = clock.time()
    assert clock.now().timestamp() >= before - 1e-6  # a datetime has whole microseconds
    assert clock.now().utcoffset().total_seconds() == 0
    asyncio.run(clock.sleep(0))


class Nowhere(Scope):
    def covers(self, _args):
        return False


def broken(*_args):
    raise RuntimeError("called")


def test_a_method_outside_its_scope_is_not_called():
    out = Installed(named("out", on_rcpt=broken, observe_rcpt=broken), scope=Nowhere())
    inside = Installed(named("in", on_rcpt=lambda *_: deny("no")))
    chain = PluginHost([out, inside]).chains["rcpt"]

    asked = []

    async def scenario():
        await chain.decide(NO_TX, None, asked=asked)
        return await chain.observe(NO_TX, None), await chain.decide(NO_TX, None)

    observed, decided = asyncio.run(scenario())
    assert observed is None
    assert [one.plugin for one in asked] == ["in"]
    assert (decided.decision, decided.by) == (deny("no"), "in")


def test_a_method_of_the_plugin_names_the_author_of_the_message():
    tx, names = SimpleNamespace(acting=None, message=SimpleNamespace(author=None)), []

    def seen():
        names.append(tx.message.author.plugin)

    plugins = [named(name, on_message=lambda *_: seen()) for name in ("a", "b")]
    asyncio.run(host(*plugins).chains["message"].decide(tx))
    assert names == ["a", "b"]


def test_a_message_taken_over_may_be_absent():
    tx = NO_TX
    chain = host(named("a", on_message=lambda *_: deny("no"))).chains["message"]
    assert asyncio.run(chain.decide(tx)).by == "a"


def test_words_of_accept_are_for_the_recipients_that_have_the_message():
    replies = RecipientReplies([Reply(250, "Ok", "2.0.0"), Reply(550, "no", "5.1.1")])
    changed = accepting(replies, accept("kept"))
    assert [str(one) for one in changed.each] == ["250 2.0.0 kept", "550 5.1.1 no"]
