"""The warnings of `gatepost check` about users and tokens."""

import time

import pytest

from gatepost.config.load import config_from_dict
from gatepost.web.access.api_tokens import ApiToken, TokensFile
from gatepost.web.access.users import UsersFile, WebUser
from gatepost.web.access.warnings import access_warnings

ADMIN = WebUser("alice", "admin", hash="$argon2id$")
DAY = 86400


@pytest.fixture
def warnings(tmp_path):
    """Return the warnings of a dashboard with these users and tokens."""

    def warnings(users=(ADMIN,), tokens=(), **web):
        config = config_from_dict({"web": {"listen": "127.0.0.1:1", **web}}, tmp_path)
        for file, entries in (
            (UsersFile(config.data_dir), users),
            (TokensFile(config.data_dir), tokens),
        ):
            for one in entries:
                file.put(one)
        return list(access_warnings(config))

    return warnings


@pytest.mark.parametrize("users", [(), (ADMIN,), (ADMIN, WebUser("bob", hash="$argon2id$"))])
def test_usual_users_have_no_warning(warnings, users):
    assert warnings(users) == []


@pytest.mark.parametrize(
    ("users", "web", "expected"),
    [
        ([ADMIN, WebUser("bob")], {}, "bob has no password, and web.user_header is empty"),
        ([], {"user_header": "Remote-User", "proxy_from": ["192.0.2.1/32"]}, "has no users"),
        ([WebUser("bob", hash="$argon2id$")], {}, "no user is an administrator"),
        ([WebUser("bob", "admin", ["a.example"], "$argon2id$")], {}, "no user is an administrator"),
    ],
)
def test_users_that_are_probably_a_mistake_have_a_warning(warnings, users, web, expected):
    (found,) = warnings(users, **web)
    assert expected in found


@pytest.mark.parametrize(
    ("left", "expected"),
    [(-1, ["the token backup expired at"]), (3 * DAY, ["expires in 2 days"]), (90 * DAY, [])],
)
def test_a_token_that_ends_soon_has_a_warning(warnings, left, expected):
    found = warnings(tokens=[ApiToken("backup", "hash", time.time() + left)])
    assert len(found) == len(expected)
    assert all(text in one for text, one in zip(expected, found, strict=True))


def test_a_damaged_file_is_a_warning(warnings, tmp_path):
    warnings()
    (tmp_path / "var/web/tokens").write_text("damaged\n")
    (found,) = warnings()
    assert "web/tokens:1: expected a token" in found


def test_a_proxy_needs_no_passwords(warnings):
    web = {"user_header": "Remote-User", "proxy_from": ["192.0.2.1/32"]}
    assert warnings([WebUser("bob", "admin")], **web) == []
