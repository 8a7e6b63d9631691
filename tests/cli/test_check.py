"""`gatepost check`."""

import json
import os

import pytest
from tests.net import authority

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


@pytest.fixture
def sound(configure):
    """Write a configuration that has nothing wrong with it, some of its lines replaced."""

    def sound(replaced=None, *more):
        lines = [(replaced or {}).get(line, line) for line in SOUND]
        folder = configure(*lines, *more)
        (folder / "traps").write_text("trap@example.com\n")
        return folder

    return sound


def report(run):
    result = run("check", "--json")
    return result, json.loads(result.stdout)


def test_nothing_wrong(run, sound):
    folder = sound()
    result, found = report(run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (found["errors"], found["warnings"], found["hooks"]) == ([], [], [])
    assert found["listen"] == ["smtp=127.0.0.1:2525"]
    assert found["lists"] == [{"path": f"{folder}/traps", "entries": 1}]
    text = run("check")
    assert text.exit_code == 0
    assert text.stdout.endswith("\n\ngatepost.toml: no errors, warnings: 0\n")


def test_nothing_is_written(run, sound):
    folder = sound()
    run("check")
    assert sorted(path.name for path in folder.iterdir()) == ["gatepost.toml", "traps"]


def test_limits_have_their_reasons(run, sound):
    sound(None, "[limits]", 'data_timeout = "90s"', 'message_size = "10KB"', "recipients = 7")
    found = {one["name"]: one for one in report(run)[1]["limits"]}
    assert found["command_timeout"]["value"] == "5m"
    assert found["command_timeout"]["why"] == "RFC 5321 s4.5.3.2.7: at least 5 minutes."
    assert found["data_timeout"]["value"] == "90s"
    assert found["data_timeout"]["why"] == "set here, the default is 10m"
    assert found["message_size"]["value"] == "10000"
    assert found["message_size"]["why"] == "set here, the default is 25MiB"
    assert found["recipients"]["value"] == "7"


def test_the_order_of_hooks(run, sound):
    folder = sound(None, '[[plugin]]\nuse = "b.py"', '[[plugin]]\nuse = "a.py"')
    method = "    def on_rcpt(self, tx, rcpt): ...\n    def observe_mail(self, tx, sender): ...\n"
    for name, before in (("a", "()"), ("b", "()")):
        (folder / f"{name}.py").write_text(
            f"from gatepost import Plugin\nclass P(Plugin):\n    before = {before}\n{method}"
        )
    assert report(run)[1]["hooks"] == [
        {"hook": "mail", "stage": "observe", "plugins": ["b", "a"]},
        {"hook": "rcpt", "stage": "on", "plugins": ["b", "a"]},
    ]


LMTP = '[[listen]]\naddress = "{}"\nprotocol = "lmtp"'
BEYOND = (
    "{}: LMTP beyond this machine: it is for use between a mail system's parts, everyone who can"
    " connect is taken for one (RFC 2033 section 5)"
)


@pytest.mark.parametrize(
    ("address", "warnings"),
    [
        ("127.0.0.1:24", []),
        ("[::1]:24", []),
        ("unix:lmtp.sock", []),
        ("127.0.0.1:25", ["127.0.0.1:25: LMTP on port 25, which is SMTP's (RFC 2033 section 5)"]),
        ("0.0.0.0:24", [BEYOND.format("0.0.0.0:24")]),
        ("[2001:db8::1]:24", [BEYOND.format("[2001:db8::1]:24")]),
    ],
)
def test_where_lmtp_should_not_be_spoken(run, sound, address, warnings):
    sound(None, LMTP.format(address))
    assert report(run)[1]["warnings"] == warnings


WARNINGS = {
    'hostname = "mx.example.com"': (
        "",
        (
            "server.hostname is localhost: expected the name this host has in the DNS, which"
            " senders and the Received header are shown"
        ),
    ),
    'domains = ["example.com"]': (
        "",
        "recipients.domains is empty: every recipient is refused with 550 5.7.1",
    ),
    'known = ["bob@example.com"]': (
        "",
        (
            "recipients.known is empty: every address of your domains exists, and a Maildir is made"
            " for each that anybody invents"
        ),
    ),
    'lists = ["traps"]': ("", "traps.lists is empty: no address is a trap"),
    "[traps]": (
        '[traps]\ndelay = "0s"',
        "traps.delay is 0: whoever washes a list learns at full speed which addresses to drop",
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
def test_a_warning(run, sound, line):
    replacement, warning = WARNINGS[line]
    sound({line: replacement})
    result, found = report(run)
    assert (result.exit_code, found["warnings"], found["errors"]) == (0, [warning], [])
    assert f"\nwarning: {warning}\n" in run("check").stdout


def test_a_user_that_does_not_exist(run, sound):
    hostname = 'hostname = "mx.example.com"'
    sound({hostname: f'{hostname}\nuser = "nobody-of-that-name"'})
    assert report(run)[1]["warnings"] == [
        (
            "server.user: there is no user nobody-of-that-name on this system, the server will not"
            " start"
        )
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can tell what others may read")
def test_keys_that_only_root_can_read(run, sound, tmp_path):
    hostname = 'hostname = "mx.example.com"'
    keys = tmp_path / "keys"
    keys.mkdir()
    paths = authority.write(keys, "mx.example.com")
    sound(
        {hostname: f'{hostname}\nuser = "nobody"'},
        '[[listen]]\naddress = "127.0.0.1:2525"\ntls = "starttls"',
        f'[tls]\ncertificates = [{{ cert = "{paths[0]}", key = "{paths[1]}" }}]',
    )
    assert report(run)[1]["warnings"] == [
        f"{path}: only root can read it: it is read when the server starts, so that it has to be"
        " restarted after a renewal"
        for path in paths
    ]
    os.chown(keys, 65534, -1)
    assert report(run)[1]["warnings"] == [
        f"{path}: only root can read it, but others can replace it: expected {keys} to be root's"
        " and writable by nobody else"
        for path in paths
    ]


def test_traps_that_are_only_logged(run, sound):
    sound({"[traps]": '[traps]\naction = "shadow"\ndelay = "0s"'})
    assert report(run)[1]["warnings"] == [
        "traps.action is shadow: messages that name a trap are taken, and only logged"
    ]


def test_no_route_at_all(run, sound):
    sound({"[[route]]": "", 'to = "discard:"': ""})
    assert report(run)[1]["warnings"] == [
        "no [[route]]: every recipient is deferred with 451 4.3.5"
    ]


def test_a_route_for_one_of_two_domains(run, sound):
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


def test_traps_that_are_not_armed(run, sound):
    folder = sound()
    (folder / "traps").write_text("abuse@example.com\nbob@example.com\n")
    assert report(run)[1]["warnings"] == [
        f"{folder}/traps:1: abuse@example.com is not armed: it is a role address (RFC 2142)",
        f"{folder}/traps:2: bob@example.com is not armed: it is a known recipient",
    ]


def test_many_warnings_of_a_kind_are_cut_off(run, sound):
    folder = sound()
    names = [f"abuse@d{number}.example\n" for number in range(MAX_OF_A_KIND + 3)]
    (folder / "traps").write_text("".join(names))
    found = report(run)[1]["warnings"]
    assert len(found) == MAX_OF_A_KIND + 1
    assert found[-1] == "… and 3 more of this kind"


def test_an_empty_list(run, sound):
    folder = sound()
    (folder / "traps").write_text("# nothing yet\n")
    assert report(run)[1]["warnings"] == [f"{folder}/traps: there is no entry in it"]


def test_a_plugin_without_hooks(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text("from gatepost import Plugin\nclass Mine(Plugin): ...\n")
    assert report(run)[1]["warnings"] == [
        "plugin mine: has no effect, expected a hook method such as on_rcpt"
    ]


def test_a_plugin_that_does_what_the_core_does(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "check_verybadrcptto.py"')
    (folder / "check_verybadrcptto.py").write_text(
        "from gatepost import Plugin\nclass P(Plugin):\n    def start(self): ...\n"
    )
    assert report(run)[1]["warnings"] == [
        (
            "plugin check_verybadrcptto: its name says that it looks for traps, which the server"
            " itself does before any plugin; see traps.lists"
        )
    ]


def test_a_socket_in_a_folder_that_does_not_exist(run, sound):
    folder = sound(None, "[[listen]]", 'address = "unix:run/gatepost.sock"')
    assert report(run)[1]["warnings"] == [
        f"unix:run/gatepost.sock: there is no folder {folder}/run"
    ]


@pytest.mark.parametrize("key", ["proxy_from", "xclient_from"])
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "128.0.0.0/1"])
def test_trust_in_everybody(run, sound, key, network):
    sound(None, "[[listen]]", f'{key} = ["10.0.0.0/8", "{network}", "fd00::/8"]')
    assert report(run)[1]["warnings"] == [
        (
            f"listen[0].{key} has {network}: whoever connects from there may claim to be any"
            " client, expected the addresses of your own proxies"
        )
    ]


def test_trust_in_addresses_where_there_are_none(run, sound):
    sound(None, "[[listen]]", 'address = "unix:s"', 'proxy_from = ["127.0.0.1/32"]')
    assert report(run)[1]["warnings"] == [
        "listen[0].proxy_from is of no use: who connects to unix:s has no IP address"
    ]


def failed(run):
    """Return the errors, which are the same in the report and on standard error."""
    result, found = report(run)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"gatepost: {error}" for error in found["errors"]]
    text = run("check")
    assert (text.exit_code, text.stderr) == (1, result.stderr)
    assert "no errors" not in text.stdout
    return found["errors"]


def test_bad_lines_of_lists(run, sound):
    folder = sound({'domains = ["example.com"]': 'domains = ["file:rcpthosts"]'})
    (folder / "traps").write_text("trap@example.com\nno address\n/((/\n")
    (folder / "rcpthosts").write_text("example.com\n-\n")
    assert failed(run) == [
        (
            f"{folder}/rcpthosts:2: expected a domain name such as example.com or .example.com,"
            " found '-'"
        ),
        f"{folder}/traps:2: expected local-part@domain, @domain or /pattern/, found 'no address'",
        (
            f"{folder}/traps:3: expected a regular expression"
            " (missing ), unterminated subpattern at position 1), found '/((/'"
        ),
    ]


def test_lists_and_plugins_that_are_missing_are_all_named(run, sound):
    folder = sound(None, '[[plugin]]\nuse = "gone"', '[[plugin]]\nuse = "gone.py"')
    (folder / "traps").unlink()
    assert failed(run) == [
        f"{folder}/traps: cannot be read: No such file or directory",
        (
            "plugin gone: not found, expected the name of a shipped plugin, an entry point of group"
            " gatepost.plugins, or a path that ends in .py"
        ),
        f"plugin {folder}/gone.py: no such file",
    ]


def test_options_of_a_plugin(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "mine.py"', "options = { dya = 1 }")
    (folder / "mine.py").write_text("from gatepost import Plugin\nclass P(Plugin): ...\n")
    assert failed(run) == [
        "plugin mine.py: options: Object contains unknown field `dya`",
    ]


def test_a_method_that_is_no_hook(run, sound):
    folder = sound(None, "[[plugin]]", 'use = "mine.py"')
    (folder / "mine.py").write_text(
        "from gatepost import Plugin\nclass P(Plugin):\n    def on_rctp(self, tx, rcpt): ...\n"
    )
    assert failed(run) == ["plugin mine: on_rctp is not a hook, did you mean on_rcpt?"]


def test_two_listeners_at_one_address(run, sound):
    sound(None, *['[[listen]]\naddress = "127.0.0.1:2525"'] * 2)
    assert failed(run) == [
        "listen[1].address: expected an address of its own, found that of listen[0]"
    ]


def test_any_free_port_may_be_asked_for_twice(run, sound):
    sound(None, *['[[listen]]\naddress = "127.0.0.1:0"'] * 2)
    assert report(run)[0].exit_code == 0


def test_a_bad_configuration_as_json(run, sound):
    sound(None, "[smtp]", "lenient_paths = 1")
    assert failed(run) == ["gatepost.toml: smtp.lenient_paths: expected true or false, found 1"]


NEXT_HOPS = {
    'to = "smtp://mail.example"\nclient = { tls = "none" }': [
        ("route[0].client.tls is none: mail to smtp://mail.example:25 can be read on the way")
    ],
    'to = "smtp://127.0.0.1"\nclient = { tls = "none" }': [],
    'to = "lmtp:unix:/run/lmtp"\nclient = { tls = "none" }': [],
    'to = "smtp://mail.example"': [],
    'to = "smtp://mail.example"\n'
    'client = { user = "u", password_file = "secret", auth_in_clear = true }': [
        (
            "route[0].client.auth_in_clear: the password for smtp://mail.example:25 can be read"
            " on the way"
        ),
        (
            "route[0].client.password_file: {folder}/secret has mode 644, expected no permissions"
            " for others"
        ),
    ],
    'to = "smtp://mail.example"\nclient = { ca = "ca.pem" }': [
        ("route[0].client.ca has no effect: certificates are checked only with tls = verified")
    ],
}


@pytest.mark.parametrize("route", NEXT_HOPS)
def test_the_way_to_a_next_hop(run, sound, route):
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
def test_files_that_a_next_hop_needs(run, sound, client, error):
    folder = sound({'to = "discard:"': f'to = "smtp://[::1]"\nclient = {{ {client} }}'})
    result, found = report(run)
    assert result.exit_code == bool(error)
    if error:
        (problem,) = found["errors"]
        assert error.format(folder=folder) in problem
