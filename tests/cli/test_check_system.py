"""`gatepost check`: the account, the files and the limits of the server."""

import grp
import json
import os
import pwd
import resource
import tempfile
from pathlib import Path

import pytest

from gatepost.process.insecure_files import private_groups

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root can change groups")
CONFIG = """\
[server]
hostname = "mx.example.com"
user = "{user}"
[[listen]]
address = "127.0.0.1:2525"
auth = true
[auth]
users = "users.auth"
clear = true
[recipients]
domains = ["example.com", "file:domains"]
known = ["file:known"]
[traps]
lists = ["traps"]
[[route]]
to = "discard:"
[[plugin]]
use = "plugins/mine.py"
{more}
"""
FILES = {
    "domains": "example.org\n",
    "known": "bob@example.com\n",
    "traps": "hidden-page@example.com\n",
    "users.auth": "",
    "plugins/mine.py": "from gatepost import Plugin\nclass Mine(Plugin):\n"
    "    def on_rcpt(self, tx, rcpt): ...\n",
}
NO_USERS = ("no client can authenticate", "users.auth: the list has no entry")
EXPECTED = "writable only by root, the user of the server and its owner"


@pytest.fixture
def place():
    """A folder with a configuration that other users can read and not change."""
    with tempfile.TemporaryDirectory(prefix="gatepost-") as folder:
        place = Path(folder) / "place"
        (place / "plugins").mkdir(parents=True)
        for one in (place.parent, place, place / "plugins"):
            one.chmod(0o755)
        for name, text in FILES.items():
            (place / name).write_text(text)
            (place / name).chmod(0o600 if name == "users.auth" else 0o644)
        yield place


@pytest.fixture
def checked(place, run):
    """Return the warnings about a configuration with this user and these other lines."""

    def checked(user="", more="", instead=("", "")):
        file = place / "gatepost.toml"
        mode = file.stat().st_mode if file.exists() else 0o644
        file.write_text(CONFIG.format(user=user, more=more).replace(*instead))
        file.chmod(mode)
        found = json.loads(run("check", "--json", "-c", file).stdout)
        return [one for one in found["warnings"] if not any(text in one for text in NO_USERS)]

    return checked


def test_files_that_only_their_owner_can_change_have_no_warning(checked):
    assert checked() == []


@pytest.mark.parametrize("name", ["gatepost.toml", *FILES])
def test_a_file_that_others_can_change_is_a_warning(checked, place, name):
    path = place / name
    path.touch()
    path.chmod(0o666)
    assert f"other users can change {path}: expected {path} to be {EXPECTED}" in checked()


def test_a_module_of_a_folder_plugin_that_others_can_change_is_a_warning(checked, place):
    folder = place / "plugins/mine"
    (folder / "more").mkdir(parents=True)
    (place / "plugins/mine.py").rename(folder / "__init__.py")
    (folder / "more/rules.py").touch()
    for one in (folder, folder / "more"):
        one.chmod(0o755)
    (folder / "more/rules.py").chmod(0o666)
    path = folder / "more/rules.py"
    found = checked(instead=("plugins/mine.py", "plugins/mine/"))
    assert f"other users can change {path}: expected {path} to be {EXPECTED}" in found


def test_a_folder_that_others_can_change_is_one_warning(checked, place):
    place.chmod(0o777)
    named = ", ".join(str(place / name) for name in ("gatepost.toml", "domains", "known"))
    assert checked() == [
        f"other users can change {named} and 3 more: expected {place} to be {EXPECTED}"
    ]


def test_a_link_in_an_open_folder_is_a_warning(checked, place):
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "traps").rename(place / "safe")
    (place / "open/traps").symlink_to(place / "safe")
    (place / "traps").symlink_to(place / "open/traps")
    others = f"{place / 'traps'}: expected {place / 'open'} to be {EXPECTED}"
    assert checked() == [f"other users can change {others}"]


def test_links_in_a_circle_are_an_error_only(checked, place):
    (place / "traps").unlink()
    (place / "traps").symlink_to(place / "traps")
    assert checked() == [f"{place}/traps: the list has no entry"]


@only_root
def test_write_access_of_a_group_is_a_warning_unless_it_is_a_private_one(checked, place):
    path = place / "traps"
    path.chmod(0o664)
    assert checked() == []  # the group of root, without members
    os.chown(path, -1, grp.getgrnam("mail").gr_gid)
    assert checked() == [f"other users can change {path}: expected {path} to be {EXPECTED}"]


@only_root
def test_files_of_the_server_user_have_no_warning(checked, place):
    os.chown(place / "traps", pwd.getpwnam("nobody").pw_uid, -1)
    assert checked() == []


def test_unknown_users_and_groups_are_not_private():
    assert private_groups([2**31 - 7]) == frozenset()


def test_root_as_the_user_of_the_server_is_a_warning(checked, as_root):
    expected = (
        "server.user: started by root, the server and its plugins keep all rights of root:"
        ' expected a user such as "gatepost", or a service manager that sets one'
    )
    assert checked() == checked(user="root") == [expected]
    found = checked(user="nobody")
    assert [one for one in found if "server.data_dir" not in one] == []


def test_an_unknown_user_is_an_error_only(run, place, checked, as_root):
    assert checked(user="no-such-user") == []
    assert (
        "server.user: unknown user no-such-user"
        in run("check", "-c", place / "gatepost.toml").stderr
    )


def test_more_connections_than_open_files_are_a_warning(checked):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(hard // 3, 1_000_000)
    assert checked(more=f"[limits]\nconnections = {count}") == [
        (
            f"limits.connections: {count} connections can need {3 * count + 256} open files, but"
            f" the hard limit here is {hard} (ulimit -Hn): expected a higher limit for the service,"
            " or fewer connections"
        )
    ]
