"""The findings of `gatepost check` about the settings of a Postfix, read by the real postconf."""

import stat
from pathlib import Path

import msgspec
import pytest
from tests.checks.postconf import use_postconf

from gatepost.checks.postfix import settings
from gatepost.checks.postfix.findings import warnings
from gatepost.config.listen import InetAddress, InheritedSocket, UnixAddress
from gatepost.config.schema import Config, ListenConfig

SERVICE = "inet:127.0.0.1:10040"
ASK = f"check_policy_service {SERVICE}"
GOOD = {
    "smtpd_recipient_restrictions": f"permit_mynetworks, reject_unauth_destination, {ASK}",
    "smtpd_data_restrictions": ASK,
}
NO_DATA = (
    "postfix: smtpd_data_restrictions does not ask Gatepost, so a message to a trap is not"
    f" refused: expected {ASK}"
)
NO_RELAY_RULE = (
    "postfix: smtpd_recipient_restrictions: expected reject_unauth_destination before Gatepost"
    " is asked"
)


def config(protocol="policy", address=None):
    listen = ListenConfig(protocol=protocol, address=address or InetAddress("127.0.0.1", 10040))
    return msgspec.structs.replace(Config(base=Path("/etc/gatepost")), listen=[listen])


@pytest.fixture
def postfix(tmp_path, monkeypatch):
    """Write main.cf and master.cf for the real postconf, and return their folder."""
    use_postconf(monkeypatch)

    def postfix(main, master="smtp inet n - n - - smtpd\n"):
        main = {"compatibility_level": "3.6", "queue_directory": "/var/spool/postfix", **main}
        lines = "".join(f"{name} = {value}\n" for name, value in main.items())
        (tmp_path / "main.cf").write_text(lines)
        (tmp_path / "master.cf").write_text(master)
        return tmp_path

    return postfix


def test_lines_at_the_right_places_have_no_warning(postfix):
    assert list(warnings(config(), postfix(GOOD))) == []


@pytest.mark.parametrize(
    "ask",
    [
        "check_policy_service { inet:127.0.0.1:10040, timeout=10s, default_action=DUNNO }",
        "check_policy_service inet:localhost:10040",
        "check_policy_service ${gatepost}",
    ],
)
def test_other_ways_to_write_the_service_are_recognised(postfix, ask):
    main = {
        "gatepost": SERVICE,
        "smtpd_recipient_restrictions": f"reject_unauth_destination\n  {ask}",
        "smtpd_data_restrictions": ask,
    }
    assert list(warnings(config(), postfix(main))) == []


def test_the_default_relay_restrictions_come_first(postfix):
    assert list(warnings(config(), postfix({**GOOD, "smtpd_recipient_restrictions": ASK}))) == []


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        (
            {"smtpd_recipient_restrictions": "reject_unauth_destination"},
            [
                "postfix: smtpd_recipient_restrictions does not ask Gatepost: expected " + ASK,
                NO_DATA,
            ],
        ),
        ({"smtpd_recipient_restrictions": f"reject_unauth_destination, {ASK}"}, [NO_DATA]),
        (
            {
                **GOOD,
                "smtpd_relay_before_recipient_restrictions": "no",
                "smtpd_recipient_restrictions": f"{ASK}, reject_unauth_destination",
            },
            [NO_RELAY_RULE],
        ),
        (
            {
                **GOOD,
                "smtpd_relay_restrictions": "",
                "smtpd_recipient_restrictions": f"{ASK}, reject_unauth_destination",
            },
            [NO_RELAY_RULE],
        ),
        (
            {
                **GOOD,
                "smtpd_recipient_restrictions": (
                    f"reject_unauth_destination, reject_unlisted_recipient, {ASK}"
                ),
            },
            [
                (
                    "postfix: reject_unlisted_recipient comes before Gatepost, which is not asked"
                    " about unknown recipients then"
                )
            ],
        ),
        (
            {
                **GOOD,
                "smtpd_recipient_restrictions": f"reject_unauth_destination, permit, {ASK}",
            },
            [
                (
                    "postfix: smtpd_recipient_restrictions: permit comes before Gatepost, which is"
                    " never asked"
                )
            ],
        ),
        ({**GOOD, "smtpd_data_restrictions": "check_policy_service inet:127.0.0.1:1"}, [NO_DATA]),
    ],
)
def test_a_wrong_place_is_reported(postfix, main, expected):
    assert list(warnings(config(), postfix(main))) == expected


def test_the_service_on_port_25_replaces_main_cf(postfix):
    master = (
        "smtp inet n - n - - smtpd\n  -o smtpd_data_restrictions=\n"
        "submission inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=permit\n"
    )
    assert list(warnings(config(), postfix(GOOD, master))) == [NO_DATA]


def test_a_unix_socket_may_be_named_below_the_queue_directory(postfix):
    listener = config(address=UnixAddress("/var/spool/postfix/private/gatepost"))
    asked = {name: value.replace(SERVICE, "unix:private/gatepost") for name, value in GOOD.items()}
    assert list(warnings(listener, postfix(asked))) == []
    assert "expected check_policy_service unix:private/gatepost" in " ".join(
        warnings(listener, postfix({}))
    )


@pytest.mark.parametrize(
    ("address", "service"),
    [
        (InetAddress("0.0.0.0", 10040), SERVICE),
        (InetAddress("::", 10040), "inet:[::1]:10040"),
        (InetAddress("192.0.2.1", 10040), "inet:192.0.2.1:10040"),
    ],
)
def test_the_address_is_one_that_postfix_can_connect_to(postfix, address, service):
    found = " ".join(warnings(config(address=address), postfix({})))
    assert f"expected check_policy_service {service}" in found


def test_a_milter_must_be_named(postfix):
    milter = config("milter")
    assert list(warnings(milter, postfix({"smtpd_milters": SERVICE}))) == []
    assert list(warnings(milter, postfix({"milter_protocol": "4"}))) == [
        f"postfix: smtpd_milters does not name Gatepost: expected {SERVICE}",
        "postfix: milter_protocol is 4, expected 6",
    ]


def test_a_milter_must_not_check_mail_without_a_client(postfix):
    main = {"smtpd_milters": SERVICE, "non_smtpd_milters": SERVICE}
    (found,) = warnings(config("milter"), postfix(main))
    assert found.startswith("postfix: non_smtpd_milters names Gatepost")


@pytest.mark.parametrize(
    "checked", [config("smtp"), config(address=InheritedSocket(3))], ids=["smtp", "inherited"]
)
def test_other_listeners_are_not_checked(postfix, checked):
    assert list(warnings(checked, postfix({}))) == []


def test_a_missing_folder_is_reported(postfix, tmp_path):
    postfix({})
    (found,) = warnings(config(), tmp_path / "missing")
    assert found.startswith("postfix: ")
    assert "No such file or directory" in found


def test_without_postconf_only_a_given_folder_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "command", lambda: None)
    assert list(warnings(config())) == []
    (found,) = warnings(config(), tmp_path)
    assert "postconf is not installed" in found


def program(folder, script):
    path = folder / "postconf"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


def test_a_postconf_that_hangs_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "TIME", 0.2)
    with pytest.raises(settings.PostconfError, match="has not ended"):
        settings.read(program(tmp_path, "exec sleep 60"), None)


def test_a_postconf_that_fails_is_an_error(tmp_path):
    with pytest.raises(settings.PostconfError, match="no reason given"):
        settings.read(program(tmp_path, "exit 1"), None)
    with pytest.raises(settings.PostconfError, match="Permission denied"):
        settings.read(str(tmp_path), None)


def test_any_output_is_read(tmp_path):
    found = settings.read(program(tmp_path, "printf 'a = b\\n\\377\\nsmtp/inet/c=d=e\\n'"), None)
    assert found["a"] == "b"
    assert found["c"] == "d=e"
