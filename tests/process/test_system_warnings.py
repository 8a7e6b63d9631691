"""The account, the files and the limits of a running server."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process.supervised import Supervised, eventually

from gatepost.config.schema import Config, LimitsConfig
from gatepost.process.open_files import needed_files, possible_files, raise_file_limit


def limits_of(pid):
    """Return the soft and the hard limit of open files of a process; None if it has exited."""
    try:
        text = Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return None
    soft, hard = re.search(r"^Max open files +(\d+) +(\d+)", text, re.MULTILINE).groups()
    return int(soft), int(hard)


def limited(server, soft, hard):
    """Start the server with these limits of open files."""
    prefix = ["sh", "-c", f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "$@"', "sh"]
    server.command = [*prefix, *server.command]
    return server


def test_the_soft_limit_of_open_files_is_raised_for_the_workers(tmp_path):
    with limited(Supervised(tmp_path, extra="[limits]\nconnections = 100"), 256, 2048) as server:
        server.ready()
        assert {limits_of(pid) for pid in server.workers()} == {(556, 2048)}
        server.reload(extra="[limits]\nconnections = 200")
        eventually(lambda: {limits_of(pid) for pid in server.workers()} == {(856, 2048)})
        assert server.events("open files limit too low") == []


def test_a_hard_limit_below_the_connections_is_a_warning(tmp_path):
    with limited(Supervised(tmp_path), 256, 512) as server:
        server.ready()
        (event,) = server.await_events("open files limit too low")
        assert (event["limit"], event["needed"]) == (512, 3256)
        assert {limits_of(pid) for pid in server.workers()} == {(512, 512)}


def test_a_higher_soft_limit_stays():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raise_file_limit(10) == soft
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    assert possible_files() == hard
    assert needed_files(Config(limits=LimitsConfig(connections=1))) == 259


def test_a_list_that_others_can_change_is_logged(tmp_path):
    (tmp_path / "traps").write_text("trap@example.com\n")
    (tmp_path / "traps").chmod(0o666)
    with Supervised(tmp_path, extra='[traps]\nlists = ["traps"]') as server:
        server.ready()
        (event,) = server.await_events("configuration insecure")
    assert event["path"] == str(tmp_path / "traps")
    assert event["problem"].startswith(f"other users can change {tmp_path}/traps: expected ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets this warning")
def test_a_server_that_runs_as_root_is_logged(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        assert len(server.await_events("running as root")) == 1


def test_an_unlimited_process_needs_no_higher_limit():
    code = (
        "import resource, sys\n"
        "from gatepost.process import open_files\n"
        "infinity = resource.RLIM_INFINITY\n"
        "resource.getrlimit = lambda kind: (infinity, infinity)\n"
        "assert open_files.possible_files() == sys.maxsize == open_files.raise_file_limit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
