"""What the service manager is told, and how."""

import os
import socket

import pytest

from gatepost.process import systemd


@pytest.fixture
def manager():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        yield sock


def test_a_socket_in_the_file_system(manager, tmp_path):
    manager.bind(str(tmp_path / "notify"))
    systemd.notify(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket(manager, tmp_path):
    name = f"gatepost-{os.getpid()}"
    manager.bind(f"\0{name}")
    systemd.notify(systemd.STOPPING, {"NOTIFY_SOCKET": f"@{name}"})
    assert manager.recv(100) == b"STOPPING=1"


def test_a_manager_that_is_gone(tmp_path):
    systemd.notify(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "gone")})


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
def test_how_often_the_watchdog_wants_to_hear(environment, expected):
    assert systemd.watchdog_interval(environment) == expected
