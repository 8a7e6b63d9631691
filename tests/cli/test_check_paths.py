"""`gatepost check`: programs and folders that the server could not use."""

import grp
import json
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from gatepost.checks.account import PASS, READ, WRITE, Account, serving
from gatepost.checks.paths import UnusableError, check_file
from gatepost.config.schema import Config, ServerConfig

ME = pwd.getpwuid(os.geteuid()).pw_name
ROOT = os.geteuid() == 0
OTHER = "nobody"
only_root = pytest.mark.skipif(not ROOT, reason="only root can change owners")


@pytest.fixture
def place():
    """A folder that all users can enter and only we can write to, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as folder:
        place = Path(folder) / "place"
        place.mkdir()
        for one in (place, place.parent):
            one.chmod(0o755)
        yield place


@pytest.fixture
def checked(configure, run):
    """Return the warnings about these routes, for a server that becomes this user."""

    def checked(*routes, user="", data_dir="var", ledger=False):
        folder = configure(
            f'[server]\nhostname = "mx.example.com"\nuser = "{user}"\ndata_dir = "{data_dir}"',
            '[recipients]\ndomains = ["example.com"]\nknown = ["bob@example.com"]',
            '[traps]\nlists = ["traps"]',
            f"[ledger]\nenabled = {str(ledger).lower()}",
            *(f"[[route]]\n{route}" for route in routes),
        )
        (folder / "traps").write_text("hidden-page@example.com\n")
        found = json.loads(run("check", "--json").stdout)
        assert found["errors"] == []
        return [one for one in found["warnings"] if "goes to one Maildir" not in one]

    return checked


@pytest.fixture
def logged(configure, run):
    """Return the warnings about this log file."""

    def logged(path):
        configure(
            '[server]\nhostname = "mx.example.com"',
            '[recipients]\ndomains = ["example.com"]\nknown = ["bob@example.com"]',
            '[[route]]\nto = "discard:"',
            f'[log]\nfile = "{path}"',
        )
        warnings = json.loads(run("check", "--json").stdout)["warnings"]
        return [one.removeprefix("log.file: ") for one in warnings if "log.file" in one]

    return logged


def denied(path, mode, expected):
    return f"{path}: its owner is {ME} and its mode {mode:o}, expected {expected}"


def program(path, mode=0o755):
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


PROGRAMS = ["pipe", "sendmail", "qmail-queue"]


@pytest.mark.parametrize("scheme", PROGRAMS)
def test_a_usable_program_has_no_warning(checked, place, scheme):
    path = program(place / "program")
    assert checked(f'to = "{scheme}:{path} --option"') == []


@pytest.mark.parametrize("scheme", PROGRAMS)
def test_a_missing_program_is_a_warning(checked, place, scheme):
    path = place / "sub/program"
    assert checked('for = ["bob@example.com"]\nto = "discard:"', f'to = "{scheme}:{path}"') == [
        f"route[1].to: no such file {path}, expected a program"
    ]


def test_a_program_below_a_file_is_a_warning(checked, place):
    path = program(place / "file") / "program"
    assert checked(f'to = "pipe:{path}"') == [
        f"route[0].to: no such file {path}, expected a program"
    ]


def test_a_folder_as_a_program_is_a_warning(checked, place):
    assert checked(f'to = "pipe:{place}"') == [
        f"route[0].to: {place} is not a file, expected a program"
    ]


def test_a_program_without_execute_permission_is_a_warning(checked, place):
    path = program(place / "program", 0o644)
    assert checked(f'to = "pipe:{path}"') == [
        "route[0].to: " + denied(path, 0o644, f"a program that the user {ME} can run")
    ]


@pytest.mark.parametrize(
    ("name", "mode"),
    [("program", 0o777), ("program", 0o775), ("place", 0o777), ("place", 0o775), ("link", 0o755)],
)
def test_a_program_that_others_can_replace_is_a_warning(checked, place, name, mode):
    path, link = program(place / "program"), place.parent / "link"
    if name == "link":  # replaceable through its folder
        (place.parent / "open").mkdir()
        (place.parent / "open").chmod(0o777)
        link = place.parent / "open/link"
        link.symlink_to(path)
        path, by = link, link.parent
    else:
        by = place if name == "place" else path
        by.chmod(mode)
        if mode == 0o775 and ROOT:  # a group of root alone would be no other user
            os.chown(by, -1, grp.getgrnam("mail").gr_gid)
    expected = f"expected {by} to be writable only by root and its owner"
    assert checked(f'to = "pipe:{path}"') == [
        f"route[0].to: other users can replace {path}: {expected}"
    ]


def test_a_program_in_a_sticky_folder_has_no_warning(checked, place):
    place.chmod(0o1777)
    assert checked(f'to = "pipe:{program(place / "program")}"') == []


@only_root
def test_a_program_that_the_server_user_cannot_run_is_a_warning(checked, place):
    path = program(place / "program", 0o750)
    assert checked(f'to = "pipe:{path}"', user=OTHER) == [
        "route[0].to: " + denied(path, 0o750, "a program that the user nobody can run")
    ]


@only_root
@pytest.mark.parametrize("scheme", ["pipe", "maildir"])
def test_a_folder_that_the_server_user_cannot_enter_is_a_warning(checked, place, scheme):
    program(place / "program")
    place.chmod(0o700)
    path = place / ("program" if scheme == "pipe" else "mail/{local}")
    expected = place / ("program" if scheme == "pipe" else "mail")
    assert checked(f'to = "{scheme}:{path}"', user=OTHER) == [
        "route[0].to: "
        + denied(place, 0o700, f"a folder that the user nobody can enter, for {expected}")
    ]


@only_root
def test_a_program_of_the_server_user_has_no_warning(checked, place):
    path = program(place / "program", 0o500)
    os.chown(path, pwd.getpwnam(OTHER).pw_uid, -1)
    assert checked(f'to = "pipe:{path}"', user=OTHER) == []


@pytest.mark.parametrize("scheme", ["maildir", "file"])
def test_folders_that_can_be_created_have_no_warning(checked, place, scheme):
    assert checked(f'to = "{scheme}:{place}/a/b/{{domain}}"', user="") == []
    assert list(place.iterdir()) == []


@only_root
@pytest.mark.parametrize("scheme", ["maildir", "file"])
@pytest.mark.parametrize("owned", [False, True])
def test_a_read_only_mail_folder_is_a_warning(checked, place, scheme, owned):
    if owned:
        os.chown(place, pwd.getpwnam(OTHER).pw_uid, -1)
    warning = "route[0].to: " + denied(place, 0o755, "a folder that the user nobody can write to")
    warnings = checked(f'to = "{scheme}:{place}/{{domain}}/{{local}}"', user=OTHER)
    assert warnings == ([] if owned else [warning])


@only_root
def test_a_mail_folder_that_cannot_be_created_is_a_warning(checked, place):
    assert checked(f'to = "maildir:{place}/mail/all"', user=OTHER) == [
        "route[0].to: "
        + denied(place, 0o755, f"a folder that the user nobody can create {place}/mail/all in")
    ]


@pytest.mark.parametrize("rest", ["", "/{local}", "/mail"])
def test_a_file_as_a_maildir_is_a_warning(checked, place, rest):
    path = program(place / "file")
    assert checked(f'to = "maildir:{path}{rest}"') == [f"route[0].to: {path} is not a folder"]


def test_invalid_paths_are_a_warning(checked, place):
    loop, long = place / "loop", place / ("x" * 256)
    loop.symlink_to(loop)
    bob = 'for = ["bob@example.com"]'
    assert checked(f'{bob}\nto = "pipe:{long}"', f'to = "maildir:{loop}/x"') == [
        f"route[0].to: {long}: File name too long",
        f"route[1].to: {loop}: Too many levels of symbolic links",
    ]


@only_root
@pytest.mark.parametrize("key", ['mode = "queue"', 'fallback = "queue"'])
def test_a_read_only_spool_folder_is_a_warning(checked, place, key):
    route = f'to = "smtp://127.0.0.1"\n{key}'
    assert checked(route, user=OTHER, data_dir=place) == [
        "server.data_dir: "
        + denied(place, 0o755, f"a folder that the user nobody can create {place}/spool in")
    ]


@only_root
def test_without_a_queue_the_spool_folder_is_not_checked(checked, place):
    assert checked('to = "smtp://127.0.0.1"', user=OTHER, data_dir=place) == []


@only_root
def test_a_read_only_folder_of_the_ledger_is_a_warning(checked, place):
    assert checked('to = "smtp://127.0.0.1"', user=OTHER, data_dir=place, ledger=True) == [
        "server.data_dir: "
        + denied(place, 0o755, f"a folder that the user nobody can create {place}/ledger in")
    ]


def test_a_file_as_the_spool_folder_is_a_warning(checked, place):
    program(place / "spool")
    assert checked('to = "discard:"\nmode = "queue"', data_dir=place) == [
        f"server.data_dir: {place}/spool is not a folder"
    ]


def test_the_serving_account_is_the_configured_user():
    assert serving(Config()).uid == os.geteuid()
    other = serving(Config(server=ServerConfig(user=OTHER)))
    assert (other.name, other.uid) == (OTHER, pwd.getpwnam(OTHER).pw_uid)
    assert pwd.getpwnam(OTHER).pw_gid in other.groups


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "rights"),
    [
        (7, 8, 0o700, READ | WRITE | PASS),
        (7, 8, 0o077, 0),  # only the owner's class counts
        (1, 8, 0o750, READ | PASS),
        (1, 8, 0o707, 0),
        (1, 9, 0o701, PASS),
    ],
)
def test_rights_follow_mode_bits(uid, gid, mode, rights):
    status = os.stat_result((0o100000 | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))
    account = Account("seven", 7, frozenset({8}))
    assert sum(right for right in (READ, WRITE, PASS) if account.may(right, status)) == rights


@pytest.mark.parametrize(
    ("mode", "rights"), [(0o100000, READ | WRITE), (0o040000, 7), (0o100001, 7)]
)
def test_root_has_all_rights_but_execute(mode, rights):
    status = os.stat_result((mode, 0, 0, 1, 7, 8, 0, 0, 0, 0))
    account = Account("root", 0, frozenset({0}))
    assert sum(right for right in (READ, WRITE, PASS) if account.may(right, status)) == rights


# log.file


def test_a_log_file_that_can_be_created_gives_no_warning(logged, place):
    assert logged(place / "log") == []


def test_a_log_file_that_can_be_appended_to_gives_no_warning(logged, place):
    (place / "log").touch()
    assert logged(place / "log") == []


def test_a_log_file_without_a_folder_is_reported(logged, place):
    expected = f"no such folder {place}/missing, expected the folder of the file"
    assert logged(place / "missing/log") == [expected]


def test_a_log_file_that_is_a_folder_is_reported(logged, place):
    assert logged(place) == [f"{place}: expected a file in a folder"]


def test_a_log_file_below_a_file_is_reported(logged, place):
    (place / "file").touch()
    assert logged(place / "file/log") == [f"{place}/file: expected a file in a folder"]


@only_root
def test_a_log_file_that_the_user_cannot_append_to_is_reported(place):
    (place / "log").touch(0o640)
    account = Account(OTHER, 65534, frozenset())
    with pytest.raises(
        UnusableError, match=r"its mode 640, expected that the user nobody can append"
    ):
        check_file(place / "log", account)
    with pytest.raises(
        UnusableError, match=r"its mode 755, expected that the user nobody can write"
    ):
        check_file(place / "new", account)
