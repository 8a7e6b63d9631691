"""The time of plugins: what waits is measured, what returns at once is sampled."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.metrics.status import HOOK_BUCKETS
from gatepost.model.decision import deny
from gatepost.plugin import chain as module
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.chain import BoundHook, Chain
from gatepost.plugin.driver import Driver
from gatepost.plugin.host import PluginHost
from gatepost.plugin.latency import SAMPLING, HookLatency, next_distance


def hook(method, plugin="p"):
    return BoundHook(plugin, "on_x", method, "defer", answers=True)


def decide(driver, *hooks, stages=1):
    """Run stages that do not wait or wait for one turn of the event loop."""
    chain = Chain(deciders=hooks, driver=driver)

    async def run():
        return [await chain.decide() for _ in range(stages)]

    return asyncio.run(run())


def due():
    driver = Driver()
    driver.until_measured = 0
    return driver


async def waits():
    await asyncio.sleep(0)


def test_a_measured_stage_counts_each_method_for_all_that_were_not_measured():
    hooks = [hook(lambda: None, name) for name in "abc"]
    decide(due(), *hooks)
    assert [sum(one.latency.counts) for one in hooks] == [SAMPLING] * 3


def test_other_stages_are_not_measured(monkeypatch):
    monkeypatch.setattr(module, "next_distance", lambda: 10)
    one = hook(lambda: None)
    driver = due()
    decide(driver, one, stages=11)
    assert sum(one.latency.counts) == SAMPLING
    decide(driver, one)
    assert sum(one.latency.counts) == 2 * SAMPLING


def test_a_measured_stage_ends_with_the_first_answer():
    answer, later = hook(lambda: deny("no")), hook(lambda: None)
    (found,) = decide(due(), answer, later)
    assert found.decision.text == "no"
    assert sum(answer.latency.counts) == SAMPLING
    assert sum(later.latency.counts) == 0


def test_a_method_that_fails_is_measured():
    def fails():
        raise ValueError

    one = hook(fails)
    decide(due(), one)
    assert sum(one.latency.counts) == SAMPLING
    assert (one.latency.failures, one.latency.timeouts) == (1, 0)


@pytest.mark.parametrize("driver", [due(), Driver()], ids=["measured", "other"])
def test_a_wait_is_counted_once(driver):
    driver.until_measured += 1 if driver.until_measured else 0
    one = hook(waits)
    decide(driver, one)
    assert sum(one.latency.counts) == 1


def test_a_coroutine_that_does_not_wait_is_sampled():
    async def at_once():
        return None

    one = hook(at_once)
    decide(due(), one)
    assert sum(one.latency.counts) == SAMPLING


def test_a_method_that_misses_its_deadline_is_counted(monkeypatch):
    moved = iter([0.0, 0.0, 40.0, 40.0, 40.0])
    one = BoundHook("p", "on_x", waits, "skip", answers=True, timeout=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(moved, 40.0))
    asyncio.run(one.await_result(asyncio.Event().wait(), ()))
    assert sum(one.latency.counts) == 1
    assert (one.latency.failures, one.latency.timeouts) == (1, 1)


@given(st.floats(0, 100), st.integers(1, 1000))
def test_a_time_is_in_the_first_bucket_that_it_fits(seconds, weight):
    latency = HookLatency()
    latency.add(seconds, weight)
    (at,) = [at for at, count in enumerate(latency.counts) if count]
    assert latency.counts[at] == weight
    assert all(limit < seconds for limit in HOOK_BUCKETS[:at])
    assert at == len(HOOK_BUCKETS) or seconds <= HOOK_BUCKETS[at]
    assert latency.seconds == seconds * weight


def test_distances_are_as_long_as_the_weight_on_average():
    found = [next_distance() for _ in range(20_000)]
    assert min(found) == 1
    assert sum(found) / len(found) == pytest.approx(SAMPLING, rel=0.05)


def test_the_host_lists_the_methods_that_were_measured():
    class Mine(Plugin):
        def on_rcpt(self, _tx, _rcpt):
            return None

        def on_mail(self, _tx, _sender):
            return None

        def on_quit(self, _session):
            return None

    host = PluginHost([Installed(Mine())])
    (rcpt,), (mail,) = (host.chains[name].deciders for name in ("rcpt", "mail"))
    rcpt.latency.add(0.5, 3)
    (found,) = host.hook_times()
    assert (found.plugin, found.hook, found.seconds) == ("mine", "on_rcpt", 1.5)
    assert sum(found.counts) == 3
    mail.latency.failures += 1
    assert {(one.hook, one.failures) for one in host.hook_times()} == {
        ("on_rcpt", 0),
        ("on_mail", 1),
    }
