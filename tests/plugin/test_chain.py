"""The chain: the order of plugins, decisions, failures and deadlines."""

import asyncio
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gatepost.model.address import NULL_PATH
from gatepost.model.decision import Decision, Verdict, accept, defer, deny
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Session, Transaction
from gatepost.plugin import chain, trouble
from gatepost.plugin.chain import ON_ERROR, Answer, BoundHook, Chain, Outcome
from gatepost.plugin.failure import UnavailableError

DEFERRED = Answer(ON_ERROR["defer"], "p")
OUTCOME = Outcome(Reply(250, "Ok"), None)


def hook(method, plugin="p", on_error="defer", *, answers=True, name=None, **more):
    name = name or getattr(method, "__name__", "on_x")
    return BoundHook(plugin, name, method, on_error, answers, **more)


def within(seconds, *hooks):
    return tuple(msgspec.structs.replace(one, timeout=seconds) for one in hooks)


def decide(*hooks, deadline=30.0, args=()):
    return asyncio.run(Chain(deciders=within(deadline, *hooks)).decide(*args))


def observe(*hooks, deadline=30.0, args=()):
    return asyncio.run(Chain(observers=within(deadline, *hooks)).observe(*args))


async def never(*_args):
    await asyncio.Event().wait()


async def ignoring_cancellation():
    try:
        await never()
    except asyncio.CancelledError:
        return


def test_chain_is_true_if_any_stage_has_a_hook():
    one = (hook(lambda: None),)
    assert not Chain()
    assert Chain(observers=one)
    assert Chain(deciders=one)
    assert Chain(followers=one)


def test_empty_chain_gives_no_answer():
    assert decide() is None
    assert observe() is None


def test_arguments_reach_the_method():
    seen = []
    decide(hook(lambda *args: seen.append(args)), args=("tx", "rcpt"))
    assert seen == [("tx", "rcpt")]


def test_first_answer_wins_and_later_plugins_are_not_asked():
    asked = []

    def answering(name, answer):
        def method():
            asked.append(name)
            return answer

        return hook(method, name)

    answer = decide(answering("a", None), answering("b", deny("no")), answering("c", accept()))
    assert answer == Answer(deny("no"), "b")
    assert asked == ["a", "b"]


_ANSWERS = st.sampled_from([None, accept(), deny("no"), defer("later")])


@given(st.lists(st.tuples(_ANSWERS, st.booleans()), max_size=8))
def test_sync_and_async_plugins_are_asked_in_order(script):
    asked = []

    def make(number, answer, waits):
        def sync():
            asked.append(number)
            return answer

        async def waiting():
            await asyncio.sleep(0)
            return sync()

        return hook(waiting if waits else sync, str(number))

    answer = decide(*(make(n, answer, waits) for n, (answer, waits) in enumerate(script)))
    first = next((n for n, (answer, _) in enumerate(script) if answer is not None), None)
    assert answer == (None if first is None else Answer(script[first][0], str(first)))
    assert asked == list(range(len(script) if first is None else first + 1))


def test_awaitable_other_than_a_coroutine_is_awaited():
    def method():
        return asyncio.ensure_future(asyncio.sleep(0, deny("no")))

    assert decide(hook(method)) == Answer(deny("no"), "p")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool"),
        (1, "int"),
        ("deny", "str"),
        ((accept(),), "tuple"),
        (Verdict.ACCEPT, "Verdict"),
    ],
)
def test_answer_of_a_wrong_type_is_a_failure(value, kind):
    async def waiting():
        return value

    for method in (lambda: value, waiting):
        with capture_logs() as logs:
            assert decide(hook(method)) == DEFERRED
        assert logs[0]["exception"].endswith(f": expected None or a decision, found {kind}")


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Decision(Verdict.DENY, code=250), "deny() takes a 5xx code, found 250"),
        (Decision(Verdict.DEFER, code=550), "defer() takes a 4xx code, found 550"),
        (
            Decision(Verdict.DENY, enhanced="4.7.1"),
            "enhanced status code 4.7.1 does not go with reply code 550",
        ),
        (Decision(Verdict.DENY, text=5), "expected text as str, found int"),
        (Decision("deny"), "expected a Verdict, found 'deny'"),
    ],
)
def test_decision_without_a_valid_reply_is_a_failure(decision, message):
    with capture_logs() as logs:
        assert decide(hook(lambda: decision)) == DEFERRED
    assert logs[0]["exception"].endswith(f": {message}")


def test_generator_is_a_failure():
    def method():
        yield accept()

    assert decide(hook(method)) == DEFERRED


def test_answer_of_an_observer_is_a_failure():
    with capture_logs() as logs:
        assert observe(hook(lambda: deny("no"), answers=False)) == DEFERRED
    assert logs[0]["exception"].endswith(": expected None, found Decision")


def raising():
    raise RuntimeError("secret detail")


async def raising_later():
    await asyncio.sleep(0)
    raise RuntimeError("secret detail")


def cancelled():
    raise asyncio.CancelledError


async def cancelled_later():
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


def exiting():
    sys.exit("secret detail")


async def exiting_later():
    await asyncio.sleep(0)
    sys.exit("secret detail")


def interrupted():
    raise KeyboardInterrupt


async def interrupted_later():
    raise KeyboardInterrupt


def exiting_in_a_thread():
    return asyncio.to_thread(sys.exit)


BREAKS = [
    raising,
    raising_later,
    cancelled,
    cancelled_later,
    exiting,
    exiting_later,
    interrupted,
    interrupted_later,
    exiting_in_a_thread,
]


@pytest.mark.parametrize("method", BREAKS)
@pytest.mark.parametrize(
    ("on_error", "code", "enhanced", "verdict"),
    [("defer", 451, "4.3.0", Verdict.DEFER), ("deny", 554, "5.3.0", Verdict.DENY)],
)
def test_exception_in_a_plugin_refuses(method, on_error, code, enhanced, verdict):
    answer = decide(hook(method, "broken", on_error), hook(accept, "next"))
    assert answer.by == "broken"
    decision = answer.decision
    assert (decision.verdict, decision.code, decision.enhanced) == (verdict, code, enhanced)
    assert decision.reason == "plugin-failed"
    assert "secret" not in decision.text


@pytest.mark.parametrize("method", BREAKS)
def test_exception_is_skipped_with_on_error_skip(method):
    assert decide(hook(method, "a", "skip"), hook(lambda: deny("no"), "b")) == Answer(
        deny("no"), "b"
    )


@pytest.mark.parametrize("method", BREAKS)
@pytest.mark.parametrize("on_error", ["defer", "deny", "skip"])
def test_every_failure_is_logged(method, on_error):
    with capture_logs() as logs:
        decide(hook(method, "a", on_error))
    assert [(one["event"], one["plugin"], one["method"]) for one in logs] == [
        ("plugin failed", "a", method.__name__)
    ]


SESSION = Session("s-1", Endpoint("192.0.2.1", 5), Endpoint("192.0.2.9", 25), 1.0)
TX = Transaction("s-1.1", SESSION, NULL_PATH, {}, 1.0)
OF_TX = {"ref": "s-1.1", "peer": "192.0.2.1:5"}
OF_SESSION = {"ref": "s-1", "peer": "192.0.2.1:5"}


@pytest.mark.parametrize("method", [*BREAKS, never])
@pytest.mark.parametrize(
    ("args", "client"),
    [
        ((TX,), OF_TX),
        ((TX, "recipient"), OF_TX),
        ((SESSION,), OF_SESSION),
        ((SESSION, "attempt"), OF_SESSION),
        ((), {}),
    ],
)
@pytest.mark.parametrize("stage", ["observers", "deciders", "followers"])
def test_a_failure_names_the_client(method, args, client, stage):
    def broken(*_args):
        return method()

    made = Chain(**{stage: within(0.001, hook(broken))})
    stages = {"observers": made.observe, "deciders": made.decide, "followers": made.follow}
    with capture_logs() as logs:
        asyncio.run(stages[stage](*args))
    failed = [one for one in logs if one["event"] == "plugin failed"]
    assert [{name: one[name] for name in one if name in OF_TX} for one in failed] == [client]


def test_plugin_that_never_returns_fails_at_the_deadline():
    with capture_logs() as logs:
        assert decide(hook(never), hook(accept), deadline=0.01) == DEFERRED
    assert logs[0]["exception"].startswith("TimeoutError: ")


def test_late_plugin_is_cancelled():
    ended = []

    async def method():
        try:
            await never()
        finally:
            ended.append(True)

    decide(hook(method), deadline=0.01)
    assert ended == [True]


def test_answer_after_the_deadline_is_ignored():
    async def stubborn():
        await ignoring_cancellation()
        return accept()

    assert decide(hook(stubborn), deadline=0.01) == DEFERRED


def test_chain_does_not_wait_for_a_plugin_that_ignores_the_deadline():
    async def scenario():
        go_on, ended = asyncio.Event(), []

        async def stubborn():
            await ignoring_cancellation()
            await go_on.wait()
            ended.append(True)
            raise RuntimeError

        chain = Chain(deciders=within(0.01, hook(stubborn)))
        assert await chain.decide() == DEFERRED
        assert ended == []
        go_on.set()
        await asyncio.gather(
            *(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True
        )
        assert ended == [True]

    asyncio.run(scenario())


def test_each_plugin_has_a_deadline_of_its_own():
    async def method():
        await never()

    hooks = [hook(method, str(number), "skip") for number in range(3)]
    with capture_logs() as logs:
        assert decide(*hooks, deadline=0.01) is None
    assert [one["plugin"] for one in logs] == ["0", "1", "2"]


def test_the_time_of_one_plugin_is_not_taken_from_the_next():
    async def waiting():
        await asyncio.sleep(0)
        return deny("no")

    hooks = (*within(0.01, hook(never, "a", "skip")), hook(waiting, "b", timeout=30.0))
    assert asyncio.run(Chain(deciders=hooks).decide()) == Answer(deny("no"), "b")


def test_plugins_that_do_not_wait_are_asked_after_the_deadline():
    answer = decide(hook(never, "a", "skip"), hook(lambda: deny("no"), "b"), deadline=0.01)
    assert answer == Answer(deny("no"), "b")


def test_cancelling_the_session_ends_the_chain():
    async def scenario():
        started = asyncio.Event()

        async def method():
            started.set()
            await never()

        task = asyncio.ensure_future(Chain(deciders=(hook(method),)).decide())
        await started.wait()
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert logs == []


def test_all_observers_run_if_one_fails():
    seen = []
    hooks = [
        hook(raising, "a", answers=False),
        hook(never, "b", answers=False),
        hook(lambda: seen.append("c"), "c", answers=False),
    ]
    assert observe(*hooks, deadline=0.01) == Answer(ON_ERROR["defer"], "a")
    assert seen == ["c"]


def test_first_failed_observer_determines_the_answer():
    hooks = [
        hook(raising, "a", "skip", answers=False),
        hook(raising_later, "b", "deny", answers=False),
        hook(raising, "c", "defer", answers=False),
    ]
    assert observe(*hooks) == Answer(ON_ERROR["deny"], "b")


def test_observers_may_wait():
    seen = []

    async def method(tx):
        await asyncio.sleep(0)
        seen.append(tx)

    assert observe(hook(method, answers=False), args=("tx",)) is None
    assert seen == ["tx"]


def test_followers_get_the_outcome_and_cannot_change_it():
    seen = []

    async def waiting(outcome):
        await asyncio.sleep(0)
        seen.append(outcome)

    def failing(_outcome):
        raise RuntimeError

    hooks = tuple(hook(one, answers=False) for one in (failing, waiting, seen.append))
    assert asyncio.run(Chain(followers=hooks).follow(OUTCOME)) is None
    assert seen == [OUTCOME, OUTCOME]


def measured(*hooks):
    """Return the answer, and the plugins that were asked with their answers."""
    asked = []
    answer = asyncio.run(Chain(deciders=hooks).decide(asked=asked))
    assert all(one.seconds >= 0 for one in asked)
    return answer, [(one.plugin, one.answer) for one in asked]


async def denies_later():
    await asyncio.sleep(0)
    return deny()


def test_asked_lists_the_plugins_up_to_the_first_answer():
    denied = Answer(deny(), "second")
    hooks = hook(lambda: None, "first"), hook(denies_later, "second"), hook(deny, "third")
    assert measured(*hooks) == (denied, [("first", None), ("second", denied)])


@pytest.mark.parametrize("on_error", ["defer", "deny", "skip"])
def test_an_outage_that_the_plugin_has_logged_adds_no_line(on_error):
    def unavailable():
        raise UnavailableError("away")

    decision = ON_ERROR[on_error]
    with capture_logs() as logs:
        answer = decide(hook(unavailable, on_error=on_error))
    assert answer == (decision and Answer(decision, "p"))
    assert logs == []


def test_asked_lists_every_plugin_if_none_answers():
    hooks = hook(lambda: None, "first"), hook(lambda: None, "second")
    assert measured(*hooks) == (None, [("first", None), ("second", None)])


def broken(*_args):
    raise RuntimeError("broken")


def test_a_slow_method_is_logged(monkeypatch):
    monkeypatch.setattr(chain, "SLOW_IN_PLACE", -1.0)
    monkeypatch.setattr(trouble, "_slow", {})
    with capture_logs() as logs:
        decide(hook(lambda *_: None, "a", name="on_mail"), hook(lambda *_: None, "b"), args=(TX,))
    assert [(one["event"], one["plugin"], one["method"], one["ref"]) for one in logs] == [
        ("plugin slow", "a, b", "on_mail", "s-1.1")
    ]


def test_slow_methods_have_one_line_a_minute_with_the_number_of_others(monkeypatch):
    times = iter((0.0, 10.0, 59.0, 60.0, 61.0, 120.0, 120.0))
    monkeypatch.setattr(trouble, "_slow", {})
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    with capture_logs() as logs:
        for method in ("on_mail",) * 6 + ("on_rcpt",):
            trouble.slow(["a"], method, 0.2, (TX,))
    assert [(one["method"], one.get("omitted")) for one in logs] == [
        ("on_mail", None),
        ("on_mail", 2),
        ("on_mail", 1),
        ("on_rcpt", None),
    ]


def test_a_slow_method_that_waits_is_logged(monkeypatch):
    monkeypatch.setattr(chain, "SLOW_SHARE", 0.0)
    monkeypatch.setattr(trouble, "_slow", {})

    async def waiting():
        await asyncio.sleep(0)

    with capture_logs() as logs:
        decide(hook(waiting, "p"))
    assert [line["event"] for line in logs] == ["plugin slow"]


SHADOWED = {"event": "plugin would decide", "verdict": "deny", "code": 553, "reason": "bad"}


def in_shadow(subject):
    """Let a plugin in shadow mode refuse a session or a transaction; return the log lines."""
    shadow = hook(lambda *_: deny("no", code=553, reason="bad"), "a", shadow=True)
    with capture_logs() as logs:
        answer = decide(shadow, hook(lambda *_: accept(), "b"), args=(subject,))
    assert answer == Answer(accept(), "b")
    opinion = subject.opinions[-1]
    assert (opinion.plugin, opinion.decision.reason) == ("a", "bad")
    return logs


def test_a_decision_in_shadow_mode_is_logged_only():
    [line] = in_shadow(TX.session)
    assert {key: line[key] for key in SHADOWED} == SHADOWED
    assert line["ref"] == "s-1"


def test_a_decision_in_shadow_mode_about_a_transaction_is_kept_for_its_line():
    assert in_shadow(TX) == []


def test_a_failure_in_shadow_mode_has_no_effect():
    with capture_logs() as logs:
        assert decide(hook(broken, on_error="deny", shadow=True)) is None
        assert observe(hook(broken, on_error="deny", shadow=True, answers=False)) is None
    assert [one["event"] for one in logs] == ["plugin failed"] * 2


@pytest.mark.parametrize(
    ("decision", "codes", "message"),
    [
        (accept("text"), (), "accept() takes no text and no codes here"),
        (accept(code=250), (), "accept() takes no text and no codes here"),
        (accept(code=252), (250,), "accept() takes code 250 here, found 252"),
        (accept(code=253), (250, 251), "accept() takes code 250 or 251 here, found 253"),
        (Decision(Verdict.ACCEPT, code=550), (250,), "accept() takes a 2xx code, found 550"),
    ],
)
def test_an_accept_that_does_not_fit_the_hook_is_a_failure(decision, codes, message):
    with capture_logs() as logs:
        assert decide(hook(lambda: decision, codes=codes)) == DEFERRED
    assert message in logs[0]["exception"]


@pytest.mark.parametrize("decision", [accept(), accept("text"), accept("text", code=251)])
def test_an_accept_that_fits_the_hook_is_an_answer(decision):
    assert decide(hook(lambda: decision, codes=(250, 251))) == Answer(decision, "p")


class Awaited:
    """An awaitable that is neither a coroutine nor a future."""

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return deny("no")


def test_any_awaitable_is_awaited():
    assert decide(hook(Awaited)) == Answer(deny("no"), "p")


def test_recipients_cannot_be_refused_where_they_cannot_be_changed():
    refusing = hook(lambda *_: deny("no", recipients=["one"]), name="on_message")
    with capture_logs() as logs:
        assert decide(refusing, args=(TX,)) == DEFERRED
    assert "the recipients cannot be changed" in logs[0]["exception"]
