"""Dropping privileges, and files that only root can read."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from tests.net import authority
from tests.process.supervised import Supervised, connect, send, uids

import gatepost
from gatepost.process.privileges import PrivilegesError, become
from gatepost.process.root_files import find_changeable

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_folder():
    """A folder that the unprivileged user owns; it cannot enter the folders of pytest."""
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def as_unprivileged():
    """Command and environment of a server that the unprivileged user can run."""
    paths = [str(Path(gatepost.__file__).parents[1]), sysconfig.get_path("purelib")]
    environment = {"PYTHONPATH": os.pathsep.join(paths)}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}"):
        trial = [python, "-c", "import gatepost.process.worker_main"]
        try:
            subprocess.run(trial, user="nobody", env=environment, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return [python, "-m", "gatepost", "serve"], environment
    return pytest.skip(f"needs a {version} that the user nobody can run")


@root
def test_supervisor_and_workers_change_all_user_ids(open_folder, as_unprivileged):
    user = pwd.getpwnam("nobody").pw_uid
    command, environment = as_unprivileged
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
def test_the_log_file_is_opened_after_privileges_are_dropped(open_folder, as_unprivileged):
    command, environment = as_unprivileged
    settings = {"server": 'workers = 1\nuser = "nobody"', "extra": '[log]\nfile = "gatepost.log"\n'}
    server = Supervised(open_folder, environment=environment, **settings)
    server.command = command
    with server:
        server.ready()
        assert server.stop() == 0
    assert (open_folder / "gatepost.log").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@root
def test_a_port_is_bound_before_privileges_are_dropped(open_folder, as_unprivileged):
    command, environment = as_unprivileged
    settings = 'user = "nobody"'
    server = Supervised(
        open_folder, server=settings, address="127.0.0.1:965", environment=environment
    )
    server.command = command
    with server:
        with connect(server.ready()) as client:
            send(client, "x")
        assert uids(server.popen.pid)[0] == str(pwd.getpwnam("nobody").pw_uid)


@pytest.fixture
def closed_folder():
    """A folder that only root can enter, as certbot creates them."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-"))
    yield folder
    shutil.rmtree(folder)


def with_tls(folder, keys, environment, workers=1):
    return Supervised(
        folder,
        server=f'workers = {workers}\nuser = "nobody"',
        address='127.0.0.1:0"\ntls = "starttls',
        extra=f"""
            [tls]
            certificates = [{{ cert = "{keys}/cert.pem", key = "{keys}/cert.key" }}]
        """,
        environment=environment,
    )


def certificate_name(port):
    """Return the name in the certificate of a server, after a message was sent with TLS."""
    with connect(port) as client:
        client._host = "localhost"
        client.starttls(context=authority.client_context(check_hostname=False))
        send(client, "x")
        return client.sock.getpeercert()["subjectAltName"][0][1]


@root
def test_a_key_that_only_root_can_read_is_read_at_the_start(
    open_folder, closed_folder, as_unprivileged
):
    command, environment = as_unprivileged
    authority.write(closed_folder, "one.example.com")
    server = with_tls(open_folder, closed_folder, environment)
    server.command = command
    with server:
        port = server.ready()
        assert certificate_name(port) == "one.example.com"
        assert {uids(pid)[0] for pid in server.workers()} == {str(pwd.getpwnam("nobody").pw_uid)}
        authority.write(closed_folder, "two.example.com")
        server.reload(hostname="new.example.com")
        assert certificate_name(port) == "one.example.com"
        kept = [one["path"] for one in server.await_events("certificate reload skipped", 2)]
        assert kept == [f"{closed_folder}/cert.pem", f"{closed_folder}/cert.key"]
        assert server.stop() == 0
    with server:
        assert certificate_name(server.ready()) == "two.example.com"


@root
def test_a_key_that_the_user_can_read_is_reloaded(open_folder, as_unprivileged):
    command, environment = as_unprivileged
    nobody = pwd.getpwnam("nobody")
    server = with_tls(open_folder, open_folder, environment)
    server.command = command
    for path in authority.write(open_folder, "one.example.com"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
        path.chmod(0o600)
    with server:
        port = server.ready()
        assert certificate_name(port) == "one.example.com"
        authority.write(open_folder, "two.example.com")
        server.reload()
        assert certificate_name(port) == "two.example.com"
        assert server.events("certificate reload skipped") == []


@root
def test_a_link_to_a_secret_in_place_of_a_key_is_refused(
    open_folder, closed_folder, as_unprivileged
):
    command, environment = as_unprivileged
    authority.write(closed_folder, "secret.example.com")
    for name in ("cert.pem", "cert.key"):
        (open_folder / name).symlink_to(closed_folder / name)
    server = with_tls(open_folder, open_folder, environment)
    server.command = command
    with server:
        assert server.popen.wait(60) == 1
        assert server.log() == (
            f"gatepost: {open_folder}/cert.pem: only root can read it, but others can replace it:"
            f" expected {open_folder} to be owned by root and writable by root only\n"
        )


@root
def test_find_changeable(tmp_path):
    def found(mode, folder=0o700, owner=0):
        path = tmp_path / "folder" / "file"
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        path.chmod(mode)
        path.parent.chmod(folder)
        os.chown(path, owner, -1)
        link = tmp_path / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        assert find_changeable(link) == find_changeable(path)
        return find_changeable(path) and find_changeable(path).name

    assert found(0o644) is None
    assert found(0o644, 0o1777) is None
    assert found(0o664) == found(0o602) == found(0o600, owner=65534) == "file"
    assert found(0o600, 0o720) == found(0o600, 0o777) == "folder"


def test_no_user_or_the_own_user_changes_nothing():
    before = os.getuid(), os.getgid(), os.getgroups()
    become("")
    become(pwd.getpwuid(os.getuid()).pw_name)
    assert (os.getuid(), os.getgid(), os.getgroups()) == before


def test_a_denied_change_is_reported(monkeypatch):
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
