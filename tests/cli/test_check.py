"""`gatepost check`."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.net import authority

from gatepost._build import describe_build
from gatepost.checks.warnings import MAX_OF_A_KIND

SOUND = (
    "[server]",
    'hostname = "mx.example.com"',
    "[recipients]",
    'domains = ["example.com"]',
    'known = ["bob@example.com"]',
    "[traps]",
    'lists = ["traps"]',
    "[[route]]",
    'to = "discard:"',
)

PLUGIN_WITH_HOOK = """
from gatepost import Plugin

class Mine(Plugin):
    def on_rcpt(self, tx, rcpt):
        return None
"""


@pytest.fixture
def sound(configure):
    """Write a configuration without findings, with some lines replaced or added."""

    def sound(replaced=None, *more):
        lines = [(replaced or {}).get(line, line) for line in SOUND]
        folder = configure(*lines, *more)
        (folder / "traps").write_text("hidden-page@example.com\n")
        return folder

    return sound


def report(run):
    result = run("check", "--json")
    return result, json.loads(result.stdout)


def test_a_sound_configuration_has_no_findings(run, sound):
    folder = sound()
    result, found = report(run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (found["errors"], found["warnings"], found["hooks"]) == ([], [], [])
    assert found["listen"] == ["smtp=127.0.0.1:2525"]
    assert found["lists"] == [{"path": f"{folder}/traps", "entries": 1}]
    text = run("check")
    assert text.exit_code == 0
    assert text.stdout.endswith("\n\ngatepost.toml: no errors, warnings: 0\n")
    assert "message_size" not in text.stdout
    assert "message_size" in run("check", "--limits").stdout


def test_check_writes_no_file(run, sound):
    folder = sound()
    run("check")
    assert sorted(path.name for path in folder.iterdir()) == ["gatepost.toml", "traps"]


SUMMARY = """\
listens on        127.0.0.1:2525 (smtp), [::1]:465 (smtp, TLS implicit, AUTH)
domains           2 entries (example.com, example.org)
known recipients  1 entry
traps             1 entry, a hit is refused after 1s
route             bob@example.com to smtp://relay.example
route             example.com to discard:
route             example.org to discard:
route             and 1 more
queue             {folder}/var/spool, mail expires after 5d
TLS               cert.pem
users             users.auth
plugins           none
runs as           the user that starts it
build             {build}
"""


def test_the_summary_has_what_the_server_does(run, configure):
    folder = configure(
        '[[listen]]\naddress = "127.0.0.1:2525"',
        '[[listen]]\naddress = "[::1]:465"\ntls = "implicit"\nauth = true',
        '[tls]\ncertificates = [{ cert = "cert.pem", key = "key.pem" }]',
        '[auth]\nusers = "users.auth"',
        '[recipients]\ndomains = ["example.com", "example.org"]\nknown = ["bob@example.com"]',
        '[traps]\nlists = ["traps"]',
        '[[route]]\nfor = ["bob@example.com"]\nto = "smtp://relay.example"\nmode = "queue"',
        *(
            f'[[route]]\nfor = ["{one}"]\nto = "discard:"'
            for one in ("example.com", "example.org", "*")
        ),
    )
    (folder / "traps").write_text("hidden-page@example.com\n")
    (folder / "users.auth").write_text("")
    text = run("check").stdout
    assert text.startswith(SUMMARY.format(folder=folder, build=describe_build()))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['[traps]\naction = "shadow"'], "0 entries, shadow mode: hits are only logged"),
        (['[traps]\ndelay = "0s"'], "0 entries, a hit is refused"),
        ([], "no list: every address, or those that the next hop accepts"),
        ([], "not used: the client waits until its message is delivered"),
    ],
)
def test_the_summary_describes_other_settings(run, configure, lines, expected):
    configure(*lines)
    assert f"  {expected}\n" in run("check").stdout


def test_limits_are_shown_with_reasons(run, sound):
    sound(None, "[limits]", 'data_timeout = "90s"', 'message_size = "10KB"', "recipients = 7")
    found = {one["name"]: one for one in report(run)[1]["limits"]}
    assert found["command_timeout"]["value"] == "5m"
    assert found["command_timeout"]["why"] == "RFC 5321 s4.5.3.2.7: at least 5 minutes."
    assert found["data_timeout"]["value"] == "90s"
    assert found["data_timeout"]["why"] == "set in the configuration, default 10m"
    assert found["message_size"]["value"] == "10000"
    assert found["message_size"]["why"] == "set in the configuration, default 25MiB"
    assert found["recipients"]["value"] == "7"


def test_plugins_are_shown_in_call_order(run, sound):
    folder = sound(None, '[[plugin]]\nuse = "b.py"', '[[plugin]]\nuse = "a.py"')
    method = "    def on_rcpt(self, tx, rcpt): ...\n    def observe_mail(self, tx, sender): ...\n"
    for name in ("a", "b"):
        (folder / f"{name}.py").write_text(
            f"from gatepost import Plugin\nclass P(Plugin):\n{method}"
        )
    assert report(run)[1]["hooks"] == [
        {"hook": "mail", "stage": "observe", "plugins": ["b", "a"]},
        {"hook": "rcpt", "stage": "on", "plugins": ["b", "a"]},
    ]


MILTER = '[[listen]]\naddress = "{}"\nprotocol = "milter"\n'
PUBLIC = (
    "{}: milter on a public address: it is not encrypted, expected an address of an internal"
    " network"
)
UNREACHABLE = (
    "192.168.0.1:8891: only this machine may connect: expected your mail servers in"
    " listen[0].accept_from"
)
BELIEVED = (
    "listen[0].accept_from contains 0.0.0.0/0: any host there can report anything about clients,"
    " expected the addresses of your own mail servers"
)


@pytest.mark.parametrize(
    ("address", "networks", "warnings"),
    [
        ("127.0.0.1:8891", None, []),
        ("unix:milter.sock", None, []),
        ("192.168.0.1:8891", '["192.168.0.2/32"]', []),
        (
            "192.168.0.1:8891",
            None,
            [UNREACHABLE],
        ),
        ("198.41.0.4:8891", '["198.41.0.5/32"]', [PUBLIC.format("198.41.0.4:8891")]),
        ("0.0.0.0:8891", '["192.168.0.2/32"]', [PUBLIC.format("0.0.0.0:8891")]),
        (
            "127.0.0.1:8891",
            '["0.0.0.0/0"]',
            [BELIEVED],
        ),
    ],
)
def test_milter_for_other_hosts_is_a_warning(run, sound, address, networks, warnings):
    more = "" if networks is None else f"accept_from = {networks}\n"
    sound(None, MILTER.format(address) + more)
    found = report(run)[1]["warnings"]
    assert [one for one in found if "milter" in one or "accept_from" in one] == warnings


def test_settings_that_a_milter_listener_does_not_have_are_a_warning(run, sound):
    settings = 'proxy_from = ["192.0.2.1"]\nxclient_from = ["192.0.2.1"]'
    sound(None, MILTER.format("127.0.0.1:8891") + settings)
    assert [one for one in report(run)[1]["warnings"] if "no effect with" in one] == [
        "listen[0].proxy_from has no effect with milter",
        "listen[0].xclient_from has no effect with milter",
    ]


def test_methods_that_a_milter_never_calls_are_a_warning(run, sound):
    folder = sound(
        None,
        MILTER.format("127.0.0.1:8891") + 'name = "mta"',
        '[[plugin]]\nuse = "a.py"\nlisten = ["mta"]',
    )
    (folder / "a.py").write_text(
        "from gatepost import Plugin\nclass P(Plugin):\n"
        "    def on_rcpt(self, tx, rcpt): ...\n    def observe_ehlo(self, session, words): ...\n"
        "    def on_quit(self, session): ...\n    def after_any(self, *_): ...\n"
    )
    assert [one for one in report(run)[1]["warnings"] if "never" in one] == [
        "plugin a: never called in milter mode: observe_ehlo, on_quit",
    ]


def test_methods_of_plugins_of_other_listeners_are_no_warning(run, sound):
    folder = sound(
        None,
        MILTER.format("127.0.0.1:8891") + 'name = "mta"',
        '[[listen]]\naddress = "127.0.0.1:2526"\nname = "mx"',
        '[[plugin]]\nuse = "a.py"\nlisten = ["mx"]',
    )
    method = "    def on_quit(self, session): ...\n"
    (folder / "a.py").write_text(f"from gatepost import Plugin\nclass P(Plugin):\n{method}")
    assert [one for one in report(run)[1]["warnings"] if "never" in one] == []


LMTP = '[[listen]]\naddress = "{}"\nprotocol = "lmtp"'
NETWORK = (
    "{}: LMTP on a network: LMTP is for the parts of one mail system, and every client is treated"
    " as such a part (RFC 2033 section 5)"
)


@pytest.mark.parametrize(
    ("address", "warnings"),
    [
        ("127.0.0.1:24", []),
        ("[::1]:24", []),
        ("unix:lmtp.sock", []),
        (
            "127.0.0.1:25",
            ["127.0.0.1:25: LMTP on port 25, which is reserved for SMTP (RFC 2033 section 5)"],
        ),
        ("0.0.0.0:24", [NETWORK.format("0.0.0.0:24")]),
        ("[2001:db8::1]:24", [NETWORK.format("[2001:db8::1]:24")]),
    ],
)
def test_lmtp_for_other_hosts_is_a_warning(run, sound, address, warnings):
    sound(None, LMTP.format(address))
    assert report(run)[1]["warnings"] == warnings


WARNINGS = {
    'hostname = "mx.example.com"': (
        "",
        (
            "server.hostname is localhost: expected the name of this host in the DNS, which"
            " appears in the greeting and in Received"
        ),
    ),
    'known = ["bob@example.com"]': (
        "",
        "recipients.known is empty: every address of your domains is accepted",
    ),
    'lists = ["traps"]': ("", "traps.lists and the registry are empty: no address is a trap"),
    "[traps]": (
        '[traps]\ndelay = "0s"',
        "traps.delay is 0: list washers can test addresses at full speed",
    ),
    'to = "discard:"': (
        'to = "discard:"\nfor = ["bob@example.com"]',
        (
            "no [[route]] matches all of example.com: other recipients there are"
            " deferred with 451 4.3.5"
        ),
    ),
}


@pytest.mark.parametrize("line", WARNINGS)
def test_an_empty_or_weak_setting_is_a_warning(run, sound, line):
    replacement, warning = WARNINGS[line]
    sound({line: replacement})
    result, found = report(run)
    assert (result.exit_code, found["warnings"], found["errors"]) == (0, [warning], [])
    assert f"\nwarning: {warning}\n" in run("check").stdout


@pytest.mark.parametrize(
    ("target", "warning"),
    [
        ('to = "smtp://127.0.0.1:26"', None),
        ('to = "lmtp:unix:/run/lmtp"', None),
        ('to = "smtp://127.0.0.1:26"\nmode = "queue"', None),
        ('to = "smtp://127.0.0.1:26"\nclient = { verify = false }', ""),
        ('to = "file:all"', ""),
        (
            'to = "maildir:mail/{domain}/{local}"',
            ", and senders can create any number of Maildirs",
        ),
    ],
)
def test_an_empty_list_of_recipients_is_a_warning_if_no_next_hop_is_asked(
    run, sound, target, warning
):
    sound({'known = ["bob@example.com"]': "known = []", 'to = "discard:"': target})
    text = "recipients.known is empty: every address of your domains is accepted"
    found = [one for one in report(run)[1]["warnings"] if "recipients.known" in one]
    assert found == ([] if warning is None else [text + warning])


@pytest.mark.parametrize(
    ("lines", "warned"),
    [
        ('to = "maildir:mail/%d/%u"', True),
        ('to = "maildir:mail/{domain}"', True),
        ('to = "maildir:mail/{local}"', False),
        ('to = "maildir:mail/all"\nfor = ["a@example.com", "b@example.com"]', True),
        ('to = "maildir:mail/all"\nfor = ["a@example.com"]', False),
        ('to = "file:mail/all"', False),
    ],
)
def test_one_maildir_for_several_recipients_is_a_warning(run, sound, lines, warned):
    sound({'to = "discard:"': lines})
    found = [one for one in report(run)[1]["warnings"] if "one Maildir" in one]
    warning = (
        "route[0].to: all mail of this route goes to one Maildir, expected {domain} and {local} in"
        " its path"
    )
    assert found == ([warning] if warned else [])


def test_an_unknown_user_is_an_error(run, sound):
    hostname = 'hostname = "mx.example.com"'
    sound({hostname: f'{hostname}\nuser = "no-such-user"'})
    result, found = report(run)
    assert result.exit_code == 1
    assert found["errors"] == ["server.user: unknown user no-such-user"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can test what other users can read")
def test_keys_that_only_root_can_read_are_a_warning(run, sound, tmp_path):
    hostname = 'hostname = "mx.example.com"'
    keys = tmp_path / "keys"
    keys.mkdir()
    paths = authority.write(keys, "mx.example.com")
    sound(
        {hostname: f'{hostname}\nuser = "nobody"'},
        '[[listen]]\naddress = "127.0.0.1:2525"\ntls = "starttls"',
        f'[tls]\ncertificates = [{{ cert = "{paths[0]}", key = "{paths[1]}" }}]',
        "[ledger]\nenabled = false",
    )
    assert report(run)[1]["warnings"] == [
        f"{path}: only root can read it: restart the server after a renewal, because a reload does"
        " not read it again"
        for path in paths
    ]
    os.chown(keys, 65534, -1)
    assert report(run)[1]["warnings"] == [
        f"{path}: only root can read it, but others can replace it: expected {keys} to be owned by"
        " root and writable by root only"
        for path in paths
    ]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("versions", "warned"),
    [(("1.2", ""), ""), (("1.1", "1.3"), ""), (("1.1", ""), "1.1"), (("1.2", "1.0"), "1.0")],
)
def test_an_obsolete_tls_version_is_a_warning(run, sound, tmp_path, versions, warned):
    of_all, of_one = versions
    cert, key = authority.write(tmp_path, "mx.example.com")
    sound(
        None,
        f'[[listen]]\naddress = "127.0.0.1:25"\ntls = "starttls"\ntls_minimum = "{of_one}"',
        f'[tls]\nminimum = "{of_all}"\ncertificates = [{{ cert = "{cert}", key = "{key}" }}]',
    )
    warning = (
        f"127.0.0.1:25: accepts TLS {warned}, which RFC 8996 forbids: expected a listener for old"
        " devices only"
    )
    assert report(run)[1]["warnings"] == ([warning] if warned else [])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "[::]"])
def test_metrics_for_other_hosts_are_a_warning(run, sound, host):
    sound(None, f'[metrics]\nlisten = "{host}:9925"')
    [warning] = report(run)[1]["warnings"]
    assert warning.startswith(f"metrics.listen is {host}:9925: other hosts can read names")


def test_metrics_on_loopback_are_no_warning(run, sound):
    sound(None, '[metrics]\nlisten = "127.0.0.1:9925"')
    assert report(run)[1]["warnings"] == []


def test_a_ledger_larger_than_the_disk_is_a_warning(run, sound):
    sound(None, '[ledger]\nsize = "1TiB"')
    free = shutil.disk_usage(Path.cwd()).free
    if free > 2**40:
        pytest.skip("the disk has more than 1 TiB free")
    [warning] = report(run)[1]["warnings"]
    assert warning.startswith("ledger.size is 1TiB, but the disk of ")


def test_an_export_to_a_missing_folder_is_a_warning(run, sound):
    sound(None, '[ledger]\nexport = "jsonl:missing/records.json"')
    [warning] = report(run)[1]["warnings"]
    assert warning.startswith("ledger.export: no such folder ")


def test_shadow_mode_is_a_warning(run, sound):
    sound({"[traps]": '[traps]\naction = "shadow"\ndelay = "0s"'})
    assert report(run)[1]["warnings"] == [
        "traps.action is shadow: messages to a trap are accepted and only logged"
    ]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", ["listen", "recipients.domains", "route"]),
        ("# only a comment\n", ["listen", "recipients.domains", "route"]),
        ('[[listen]]\n[recipients]\ndomains = ["example.com"]\n', ["route"]),
    ],
)
def test_a_truncated_configuration_is_an_error(run, sound, text, missing):
    (sound() / "gatepost.toml").write_text(text)
    for command in (["check"], ["serve"], ["try", "--to", "bob@example.com"]):
        result = run(*command)
        assert result.exit_code == 1
        found = [line.split(": ")[2] for line in result.stderr.splitlines()]
        assert found == missing


def test_a_server_that_only_relays_needs_no_domains(run, sound):
    sound(
        {
            'domains = ["example.com"]': "",
            'to = "discard:"': 'to = "smtp://mail.example"\nrelay_for = "authenticated"',
        }
    )
    result, found = report(run)
    assert result.exit_code == 0
    warning = "recipients.domains is empty: only clients of relay_for can send mail"
    assert warning in found["warnings"]


def test_domains_without_a_route_are_a_warning(run, sound):
    domains = 'domains = ["example.com", ".example.net", "file:rcpthosts"]'
    folder = sound(
        {
            'domains = ["example.com"]': domains,
            'to = "discard:"': 'to = "discard:"\nfor = ["example.com", "example.org"]',
        }
    )
    (folder / "rcpthosts").write_text("example.org\nexample.edu\n")
    found = [one.partition(":")[0] for one in report(run)[1]["warnings"]]
    assert found == [
        "no [[route]] matches all of .example.net",
        "no [[route]] matches all of example.edu",
    ]


def test_unarmed_traps_are_a_warning(run, sound):
    folder = sound()
    (folder / "traps").write_text("abuse@example.com\nbob@example.com\n")
    assert report(run)[1]["warnings"] == [
        f"{folder}/traps:1: abuse@example.com is not armed: it is a role address (RFC 2142)",
        f"{folder}/traps:2: bob@example.com is not armed: it is a known recipient",
    ]


TELLING = (
    'server.hostname: the name spamtrap.example.com contains "spam": programs that clean lists'
)


@pytest.mark.parametrize(("name", "warned"), [("spamtrap", True), ("mx2", False)])
def test_a_name_that_reveals_traps_is_a_warning(run, sound, name, warned):
    folder = sound({SOUND[1]: f'hostname = "{name}.example.com"'})
    found = report(run)[1]["warnings"]
    assert any(one.startswith(TELLING) for one in found) is warned
    (folder / "traps").write_text("# none\n")
    assert "programs that clean lists" not in "".join(report(run)[1]["warnings"])


def test_a_guessable_trap_without_a_class_is_a_warning(run, sound):
    folder = sound()
    lines = ["info@example.com", "sales@example.com spoil=yes", "jim@example.com class=typo"]
    (folder / "traps").write_text("\n".join([*lines, "Eve+shop@example.com", "@old.example\n"]))
    warnings = report(run)[1]["warnings"]
    assert [one.partition(": any person can guess ")[0] for one in warnings] == [
        f"{folder}/traps:1",
        f"{folder}/traps:4",
    ]


@pytest.mark.parametrize("note", ["class=recycld left", "Class=typo", "class: typo", "spoil=no"])
def test_a_note_that_was_meant_as_a_class_is_a_warning(run, sound, note):
    folder = sound()
    (folder / "traps").write_text(f"hidden-page@example.com {note}\nold-page@example.com classy\n")
    [warning] = report(run)[1]["warnings"]
    assert warning.startswith(
        f'{folder}/traps:1: "{" ".join(note.split()[: 2 if ": " in note else 1])}"'
    )


def test_the_table_of_traps_in_force_is_printed(run, sound):
    sound({"[traps]": '[traps]\ntable.recycled.stranger = "refuse all"'})
    rows = {name: cells for name, *cells in report(run)[1]["traps"]}
    assert rows["recycled"] == ["refuse all (set)", "recipient only", "recipient only"]
    assert rows["guessable"] == ["recipient only"] * 3
    assert rows["pristine"][0] == "refuse all"
    text = " ".join(run("check", "--limits").stdout.split())
    assert "class stranger acquainted trusted" in text
    assert "recycled refuse all (set) recipient only recipient only" in text


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('recycle.stranger = "none"', "pristine"),
        ('recycled.friend = "none"', "stranger"),
        ('recycled.stranger = "refuse"', "refuse all after the content"),
    ],
)
def test_a_wrong_cell_is_an_error(run, sound, cell, expected):
    sound({"[traps]": f"[traps]\ntable.{cell}"})
    result, found = report(run)
    assert result.exit_code == 1
    assert expected in found["errors"][0]


def test_many_warnings_of_a_kind_are_cut(run, sound):
    folder = sound()
    names = [f"abuse@d{number}.example\n" for number in range(MAX_OF_A_KIND + 3)]
    (folder / "traps").write_text("".join(names))
    found = report(run)[1]["warnings"]
    assert len(found) == MAX_OF_A_KIND + 1
    assert found[-1] == "… and 3 more of this kind"


def test_an_empty_list_is_a_warning(run, sound):
    folder = sound()
    (folder / "traps").write_text("# nothing yet\n")
    assert report(run)[1]["warnings"] == [f"{folder}/traps: the list has no entry"]


def test_a_plugin_for_traps_is_a_warning(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "check_verybadrcptto.py"')
    (folder / "check_verybadrcptto.py").write_text(
        "from gatepost import Plugin\nclass P(Plugin):\n    def start(self): ...\n"
    )
    assert report(run)[1]["warnings"] == [
        (
            "plugin check_verybadrcptto: by its name it checks for traps, but the server does that"
            " before any plugin, see traps.lists"
        )
    ]


def test_a_plugin_can_warn_of_itself(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "cautious.py"')
    (folder / "cautious.py").write_text(
        "from gatepost import Plugin\nclass P(Plugin):\n    def start(self): ...\n"
        "    def warnings(self): return ['be careful']\n"
    )
    assert report(run)[1]["warnings"] == ["plugin cautious: be careful"]


def test_a_socket_in_a_missing_folder_is_a_warning(run, sound):
    folder = sound(None, "[[listen]]", 'address = "unix:run/gatepost.sock"')
    assert report(run)[1]["warnings"] == [
        f"unix:run/gatepost.sock: the folder {folder}/run does not exist"
    ]


@pytest.mark.parametrize(
    ("addresses", "warned"),
    [
        (["[::]:2525"], True),
        (["[::]:2525", "0.0.0.0:2526"], True),
        (["0.0.0.0:2525", "[::]:2525"], False),
        (["[::]:2525", "127.0.0.1:2525"], False),
        (["0.0.0.0:2525"], False),
        (["[::1]:2525"], False),
    ],
)
def test_a_listener_for_ipv6_only_is_a_warning(run, sound, addresses, warned):
    sound(None, *[f'[[listen]]\naddress = "{address}"' for address in addresses])
    expected = (
        "[::]:2525 does not accept IPv4, by which most mail arrives: add a [[listen]]"
        ' with address = "0.0.0.0:2525"'
    )
    assert (expected in report(run)[1]["warnings"]) is warned


@pytest.mark.parametrize("key", ["proxy_from", "xclient_from"])
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "128.0.0.0/1"])
def test_trust_in_a_large_network_is_a_warning(run, sound, key, network):
    sound(None, "[[listen]]", f'{key} = ["10.0.0.0/8", "{network}", "fd00::/8"]')
    assert report(run)[1]["warnings"] == [
        (
            f"listen[0].{key} contains {network}: any host there can claim to be any client,"
            " expected the addresses of your own proxies"
        )
    ]


def test_bare_lf_from_a_large_network_is_a_warning(run, sound):
    sound(None, "[smtp]", 'bare_lf_from = ["10.0.0.0/8", "0.0.0.0/0"]')
    assert report(run)[1]["warnings"] == [
        (
            "smtp.bare_lf_from contains 0.0.0.0/0: messages of strangers are changed,"
            " expected the addresses of your own devices"
        )
    ]


def test_a_trusted_network_for_a_unix_socket_is_a_warning(run, sound):
    sound(None, "[[listen]]", 'address = "unix:s"', 'proxy_from = ["127.0.0.1/32"]')
    assert report(run)[1]["warnings"] == [
        "listen[0].proxy_from has no effect: clients of unix:s have no IP address"
    ]


def failed(run):
    """Return the errors of the report, after a comparison with standard error."""
    result, found = report(run)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"gatepost: {error}" for error in found["errors"]]
    text = run("check")
    assert (text.exit_code, text.stderr) == (1, result.stderr)
    assert "no errors" not in text.stdout
    return found["errors"]


def test_invalid_lines_of_lists_are_errors(run, sound):
    folder = sound({'domains = ["example.com"]': 'domains = ["file:rcpthosts"]'})
    (folder / "traps").write_text("trap@example.com\nno address\n/((/\n")
    (folder / "rcpthosts").write_text("example.com\n-\n")
    assert failed(run) == [
        (
            f"{folder}/rcpthosts:2: expected a domain name such as example.com or .example.com,"
            " found '-'"
        ),
        f"{folder}/traps:2: expected local-part@domain, @domain or /pattern/, found 'no address'",
        (f"{folder}/traps:3: expected a regular expression of RE2 (missing ): ((), found '/((/'"),
    ]


def test_all_missing_lists_and_plugins_are_errors(run, sound):
    folder = sound(None, '[[plugin]]\nuse = "gone"', '[[plugin]]\nuse = "gone.py"')
    (folder / "traps").unlink()
    assert failed(run) == [
        f"{folder}/traps: cannot be read: No such file or directory",
        (
            "plugin gone: not found, expected the name of a shipped plugin, an entry point of group"
            " gatepost.plugins, a path that ends in .py, or a folder such as plugins/gone/"
        ),
        f"plugin {folder}/gone.py: no such file",
    ]


def test_an_unknown_option_of_a_plugin_is_an_error(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "mine.py"', "options = { dya = 1 }")
    (folder / "mine.py").write_text("from gatepost import Plugin\nclass P(Plugin): ...\n")
    assert failed(run) == [
        "gatepost.toml: mine: plugin[0].options.dya: unknown option; the plugin has no options",
    ]


def test_a_misspelt_hook_is_an_error(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text(
        "from gatepost import Plugin\nclass P(Plugin):\n    def on_rctp(self, tx, rcpt): ...\n"
    )
    assert failed(run) == [
        f"plugin mine: {folder}/mine.py:3: on_rctp is not a hook, did you mean on_rcpt?"
    ]


def test_two_listeners_on_one_address_are_an_error(run, sound):
    sound(None, *['[[listen]]\naddress = "127.0.0.1:2525"'] * 2)
    assert failed(run) == ["listen[1].address: expected another address than that of listen[0]"]


def test_two_listeners_on_port_0_are_no_error(run, sound):
    sound(None, *['[[listen]]\naddress = "127.0.0.1:0"'] * 2)
    assert report(run)[0].exit_code == 0


def test_an_invalid_configuration_is_reported_as_json(run, sound):
    sound(None, "[smtp]", "strict_paths = 1")
    assert failed(run) == ["gatepost.toml: smtp.strict_paths: expected true or false, found 1"]


NEXT_HOPS = {
    'to = "smtp://mail.example"\nclient = { tls = "none" }': [
        (
            "route[0].client.tls is none: any host on the path to smtp://mail.example:25 can read"
            " the mail"
        )
    ],
    'to = "smtp://127.0.0.1"\nclient = { tls = "none" }': [],
    'to = "lmtp:unix:/run/lmtp"\nclient = { tls = "none" }': [],
    'to = "smtp://mail.example"': [],
    'to = "smtp://mail.example"\n'
    'client = { user = "u", password_file = "secret", auth_in_clear = true }': [
        (
            "route[0].client.auth_in_clear is true: any host on the path to"
            " smtp://mail.example:25 can read the password"
        ),
        (
            "route[0].client.password_file: {folder}/secret: mode 644 gives access to all users,"
            " expected 600 or 640"
        ),
    ],
    'to = "smtp://mail.example"\nclient = { ca = "ca.pem" }': [
        'route[0].client.ca has no effect: expected tls = "verified"'
    ],
}


@pytest.mark.parametrize("route", NEXT_HOPS)
def test_an_insecure_next_hop_is_a_warning(run, sound, route):
    folder = sound({'to = "discard:"': route})
    (folder / "secret").write_text("s3cret\n")
    (folder / "secret").chmod(0o644)
    authority.write_authority(folder)
    result, found = report(run)
    assert (result.exit_code, found["errors"]) == (0, [])
    assert found["warnings"] == [one.format(folder=folder) for one in NEXT_HOPS[route]]


@pytest.mark.parametrize(
    ("client", "error"),
    [
        ('user = "u"', "client: expected both user and password_file, or neither"),
        ('user = "u", password_file = "none"', "{folder}/none: cannot be read: No such file"),
        ('user = "u", password_file = "traps"', ""),
        ('tls = "verified", ca = "traps"', "{folder}/traps: expected certificates in PEM form"),
        ('tls = "verified", ca = "none"', "{folder}/none: cannot be read: No such file"),
    ],
)
def test_missing_files_of_a_next_hop_are_errors(run, sound, client, error):
    folder = sound({'to = "discard:"': f'to = "smtp://[::1]"\nclient = {{ {client} }}'})
    result, found = report(run)
    assert result.exit_code == bool(error)
    if error:
        (problem,) = found["errors"]
        assert error.format(folder=folder) in problem


def test_a_file_without_its_prefix_in_domains_is_a_warning(run, sound):
    folder = sound({'domains = ["example.com"]': 'domains = ["example.com", "rcpthosts"]'})
    assert report(run)[1]["warnings"] == []
    (folder / "rcpthosts").write_text("example.org\n")
    assert report(run)[1]["warnings"] == [
        (
            'recipients.domains contains "rcpthosts", which is the name of a file too: expected'
            ' "file:rcpthosts" for the domains in it'
        )
    ]


def test_one_maildir_is_not_called_any_number_of_maildirs(run, sound):
    sound({'known = ["bob@example.com"]': "", 'to = "discard:"': 'to = "maildir:mail/%d/%u"'})
    found = report(run)[1]["warnings"]
    assert "recipients.known is empty: every address of your domains is accepted" in found


def test_every_domain_is_a_warning(run, sound):
    sound({'domains = ["example.com"]': 'domains = ["*"]'})
    assert report(run)[1]["warnings"] == [
        'recipients.domains contains "*": mail for every domain is accepted, as in tests'
    ]


BLOCK = """
from gatepost import AddressList, File, Plugin

class Block(Plugin):
    class Options(Plugin.Options):
        blocked: AddressList = AddressList("file:blocked")
        text: File = File("text")

    def on_rcpt(self, tx, rcpt): ...
"""


def test_the_lists_and_files_of_plugins_are_checked(run, sound):
    folder = sound(None, *['[[plugin]]\nuse = "block.py"'] * 2)
    (folder / "block.py").write_text(BLOCK)
    (folder / "blocked").write_text("one@example.com\nnot an address\n")
    line = f"{folder}/blocked:2: expected local-part@domain, @domain or /pattern/"
    found = failed(run)
    assert found[:2] == [
        f"gatepost.toml: block: plugin[{n}].options.text: expected a file, found no file"
        f" {folder}/text"
        for n in range(2)
    ]
    assert [one.partition(", found")[0] for one in found[2:]] == [line]
    assert {"path": f"{folder}/blocked", "entries": 1} in report(run)[1]["lists"]
    (folder / "text").touch()
    (folder / "blocked").unlink()
    assert failed(run) == [f"{folder}/blocked: cannot be read: No such file or directory"]
    (folder / "blocked").touch()
    assert report(run)[1]["warnings"] == [f"{folder}/blocked: the list has no entry"]


def test_the_example_is_checked_from_another_folder(run, sound, tmp_path, monkeypatch):
    folder = sound(None, "[[plugin]]", 'use = "check_verybadrcptto.py"')
    example = Path(__file__).parents[2] / "examples/check_verybadrcptto.py"
    (folder / "check_verybadrcptto.py").write_text(example.read_text())
    monkeypatch.chdir(tmp_path)
    result = run("check", "-c", folder / "gatepost.toml")
    assert result.stderr == (
        f"gatepost: {folder}/verybadrcptto: cannot be read: No such file or directory\n"
    )
    (folder / "verybadrcptto").write_text("trap@example.com a note\n")
    result = run("check", "-c", folder / "gatepost.toml")
    assert (result.exit_code, result.stderr) == (0, "")


def test_options_for_a_domain_that_is_not_local_are_a_warning(run, sound):
    tables = ("[plugin.options_for]", '"Example.com" = {}', '"other.example" = {}')
    folder = sound(None, "[[plugin]]", 'use = "mine.py"', *tables)
    (folder / "mine.py").write_text(PLUGIN_WITH_HOOK)
    _, found = report(run)
    assert found["warnings"] == ['plugin[0].options_for."other.example": the domain is not local']


@pytest.mark.parametrize("method", ["on_lookup", "on_rcpt"])
def test_a_plugin_can_have_more_local_domains(run, sound, method):
    tables = ("[plugin.options_for]", '"tenant.example" = {}')
    folder = sound(None, "[[plugin]]", 'use = "mine.py"', *tables)
    (folder / "mine.py").write_text(PLUGIN_WITH_HOOK.replace("on_rcpt", method))
    _, found = report(run)
    assert len(found["warnings"]) == (0 if method == "on_lookup" else 1)
