"""The detection of a worker that hangs."""

from gatepost.process.watchdog import PING_INTERVAL, Watchdog

LIMIT = 10.0


def test_pings_are_sent_at_an_interval():
    watchdog = Watchdog(LIMIT)
    times = [0.0, 0.5, PING_INTERVAL, PING_INTERVAL + 1, 2 * PING_INTERVAL]
    assert [watchdog.is_ping_due(now) for now in times] == [True, False, True, False, True]


def test_a_short_limit_has_two_pings():
    watchdog = Watchdog(1.0)
    assert [watchdog.is_ping_due(now) for now in (0.0, 0.5, 1.0)] == [True] * 3


def test_a_worker_without_a_ping_never_expires():
    assert not Watchdog(LIMIT).has_expired(1_000_000.0)


def test_the_limit_counts_from_the_first_ping_without_progress():
    watchdog = Watchdog(LIMIT)
    for now in (0.0, 4.0, 8.0):
        assert watchdog.is_ping_due(now)
    assert not watchdog.has_expired(LIMIT)
    assert watchdog.has_expired(LIMIT + 0.1)


def test_an_answer_without_progress_does_not_extend_the_limit():
    watchdog = Watchdog(LIMIT)
    watchdog.is_ping_due(0.0)
    watchdog.record("5")
    watchdog.is_ping_due(2.0)
    watchdog.record("5")
    assert not watchdog.has_expired(2.0 + LIMIT)
    assert watchdog.has_expired(2.1 + LIMIT)


def test_progress_ends_the_wait():
    watchdog = Watchdog(LIMIT)
    watchdog.is_ping_due(0.0)
    watchdog.record("5")
    assert not watchdog.has_expired(1_000_000.0)


def test_a_restart_grants_the_whole_limit():
    watchdog = Watchdog(LIMIT)
    watchdog.restart(0.0)
    watchdog.is_ping_due(0.0)
    watchdog.restart(1000.0)
    assert not watchdog.has_expired(1000.0 + LIMIT)
    assert watchdog.has_expired(1000.1 + LIMIT)
