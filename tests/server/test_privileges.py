"""Changing the user."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from tests.server.supervised import Supervised, connect, send, uids

import gatepost
from gatepost.server.privileges import PrivilegesError, become

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_folder():
    """A folder of nobody's that nobody can reach; pytest's own are closed to others."""
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def as_nobody():
    """Command and environment of a server that nobody may run, whoever owns our interpreter."""
    paths = [str(Path(gatepost.__file__).parents[1]), sysconfig.get_path("purelib")]
    environment = {"PYTHONPATH": os.pathsep.join(paths)}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}"):
        trial = [python, "-c", "import gatepost.server.child"]
        try:
            subprocess.run(trial, user="nobody", env=environment, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return [python, "-m", "gatepost", "serve"], environment
    return pytest.skip(f"needs a {version} that the user nobody may run")


@root
def test_supervisor_and_workers_are_the_user_for_good(open_folder, as_nobody):
    user = pwd.getpwnam("nobody").pw_uid
    command, environment = as_nobody
    settings = 'workers = 2\nuser = "nobody"'
    server = Supervised(open_folder, server=settings, environment=environment)
    server.command = command
    with server:
        port = server.ready()
        pids = [server.popen.pid, *server.workers()]
        assert [uids(pid) for pid in pids] == [[str(user)] * 4] * 3
        with connect(port) as client:
            send(client, "x")
        (mail,) = open_folder.glob("mail/*/*/new/*")
        assert mail.stat().st_uid == user
        server.reload(hostname="new.example.com", server='workers = 3\nuser = "nobody"')
        with connect(port) as client:
            send(client, "y")
        assert server.stop() == 0


@root
def test_a_port_is_bound_before_privileges_are_dropped(open_folder, as_nobody):
    command, environment = as_nobody
    settings = 'user = "nobody"'
    server = Supervised(
        open_folder, server=settings, address="127.0.0.1:965", environment=environment
    )
    server.command = command
    with server:
        with connect(server.ready()) as client:
            send(client, "x")
        assert uids(server.popen.pid)[0] == str(pwd.getpwnam("nobody").pw_uid)


def test_nobody_in_particular_and_oneself():
    before = os.getuid(), os.getgid(), os.getgroups()
    become("")
    become(pwd.getpwuid(os.getuid()).pw_name)
    assert (os.getuid(), os.getgid(), os.getgroups()) == before


def test_without_the_right(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "initgroups", refuse)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(PrivilegesError) as caught:
        become("nobody")
    assert str(caught.value) == (
        'server.user: cannot become "nobody", expected to be started as root or as that user:'
        " Operation not permitted"
    )
