"""Notifications to the service manager."""

import os
import socket

import pytest

from gatepost.process import systemd


@pytest.fixture
def manager():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        yield sock


def test_notification_by_a_socket_in_the_file_system(manager, tmp_path):
    manager.bind(str(tmp_path / "notify"))
    systemd.notify(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(100) == b"READY=1"


def test_notification_by_an_abstract_socket(manager):
    name = f"gatepost-{os.getpid()}"
    manager.bind(f"\0{name}")
    systemd.notify(systemd.STOPPING, {"NOTIFY_SOCKET": f"@{name}"})
    assert manager.recv(100) == b"STOPPING=1"


def test_an_unreachable_manager_is_ignored(tmp_path):
    assert systemd.notify(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "gone")}) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_interval_is_half_of_the_limit(environment, expected):
    assert systemd.watchdog_interval(environment) == expected
