"""The loader: files, error messages, defaults, and configurations built in code."""

import json
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.kinds import ArrayKind, TableKind, keys
from gatepost.config.listen import InetAddress, UnixAddress
from gatepost.config.load import check, config_from_dict, load_config
from gatepost.config.problem import ConfigError
from gatepost.config.relay import RelayFor
from gatepost.config.schema import (
    CertificateConfig,
    Config,
    LimitsConfig,
    ListenConfig,
    PluginConfig,
    RecipientsConfig,
    RouteConfig,
    ServerConfig,
    TlsConfig,
    TrapsConfig,
)
from gatepost.model.reply import Reply

FULL = """
[server]
hostname = "mx.example.com"
data_dir = "var"
workers = 1
user = ""

[[listen]]
address = "127.0.0.1:2525"
protocol = "smtp"
tls = "none"
proxy_from = []

[tls]
certificates = [{ names = ["*"], cert = "tls/cert.pem", key = "tls/key.pem" }]

[limits]
message_size = "25MiB"
recipients = 100
connections = 1000
connections_per_ip = 50
command_timeout = "5m"
data_timeout = "10m"

[recipients]
domains = ["example.com"]
known = []
subaddress = "+"

[traps]
lists = ["verybadrcptto"]
action = "refuse"
delay = "1s"
reply = "554 5.7.1 Message refused by local policy"

[[route]]
for = ["*"]
to = "maildir:var/mail/{domain}/{local}"
mode = "direct"

[[plugin]]
use = "plugins/no_mondays.py"
options = { day = 0 }
on_error = "defer"

[ledger]
keep = "30d"
[log]
level = "info"
format = "auto"
"""

LISTEN_EXPECTED = (
    'an address such as "127.0.0.1:2525", "0.0.0.0:25" (all of IPv4), "[::]:25" (all of IPv6),'
    ' "unix:/run/gatepost.sock" or "fd:3"'
)
DOMAIN_EXPECTED = (
    'a domain such as "example.com", ".example.com" for its subdomains, or "file:NAME"'
)
ADDRESS_EXPECTED = (
    'an address such as "user@example.com", "@example.com" for a whole domain, "file:NAME", or a'
    ' table such as "lmdb:NAME"'
)
TARGET_EXPECTED = 'a target such as "maildir:PATH" or "smtp://HOST:PORT"'
REPLY_EXPECTED = 'a 4xx or 5xx reply in ASCII such as "554 5.7.1 Text"'
PATH_EXPECTED = 'a file name without the prefix "file:"'


def problems_of(read, *arguments):
    with pytest.raises(ConfigError) as caught:
        read(*arguments)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]


def written(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    data = content if isinstance(content, bytes) else content.encode()
    Path("gatepost.toml").write_bytes(data)
    return "gatepost.toml"


# The least that a file must have.
LEAST = '[[listen]]\n[recipients]\ndomains = ["example.com"]\n[[route]]\nto = "discard:"\n'
NO_LISTENER = "gatepost.toml: listen: expected at least one [[listen]], found none"
NO_DOMAIN = (
    "gatepost.toml: recipients.domains: expected your domains, a [[route]] with relay_for, or a"
    " [[plugin]], found none"
)
NO_ROUTE = "gatepost.toml: route: expected at least one [[route]], found none"


def test_missing_keys_of_a_file_have_their_defaults(tmp_path, monkeypatch):
    config = load_config(written(tmp_path, monkeypatch, LEAST))
    assert config == Config(
        recipients=RecipientsConfig(domains=("example.com",)),
        route=(RouteConfig(to="discard:"),),
        base=tmp_path,
        source="gatepost.toml",
    )
    assert config.data_dir == tmp_path / "var"
    assert config.listen[0].address == InetAddress("127.0.0.1", 2525)
    assert str(config.traps.reply) == "554 5.7.1 Message refused by local policy"


def test_a_program_may_leave_out_every_table():
    assert config_from_dict({}) == Config()


@pytest.mark.parametrize("content", ["", "\n", "# a comment\n", b"\xef\xbb\xbf", "[log]\n"])
def test_an_empty_file_is_refused(tmp_path, monkeypatch, content):
    file = written(tmp_path, monkeypatch, content)
    assert problems_of(load_config, file) == [NO_LISTENER, NO_DOMAIN, NO_ROUTE]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[[listen]]\n", "", NO_LISTENER),
        ("[[listen]]\n", "listen = []\n", NO_LISTENER),
        ('["example.com"]', "[]", NO_DOMAIN),
        ('[recipients]\ndomains = ["example.com"]\n', "", NO_DOMAIN),
        ('[[route]]\nto = "discard:"\n', "", NO_ROUTE),
        ('[[route]]\nto = "discard:"\n', "[traps]\n", NO_ROUTE),
    ],
)
def test_a_file_without_a_required_table_is_refused(tmp_path, monkeypatch, old, new, problem):
    file = written(tmp_path, monkeypatch, LEAST.replace(old, new))
    assert problems_of(load_config, file) == [problem]


def test_no_truncated_file_lacks_a_listener_a_domain_or_a_route(tmp_path, monkeypatch):
    for end in range(len(FULL)):
        config, problems = read_or_problems(load_config, written(tmp_path, monkeypatch, FULL[:end]))
        assert problems or (config.listen and config.recipients.domains and config.route)


def test_a_file_that_only_relays_needs_no_domains(tmp_path, monkeypatch):
    text = '[[listen]]\n[[route]]\nto = "discard:"\nrelay_for = "authenticated"\n'
    assert load_config(written(tmp_path, monkeypatch, text)).recipients.domains == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"none"', RelayFor()),
        ('"authenticated"', RelayFor(authenticated=True)),
        ("[]", RelayFor()),
        ('["192.0.2.0/24"]', RelayFor(False, (ip_network("192.0.2.0/24"),))),
        (
            '["2001:db8::/32", "authenticated", "192.0.2.1"]',
            RelayFor(True, (ip_network("2001:db8::/32"), ip_network("192.0.2.1"))),
        ),
    ],
)
def test_relay_for_has_words_and_networks(tmp_path, monkeypatch, value, expected):
    text = f"{LEAST}relay_for = {value}\n"
    (route,) = load_config(written(tmp_path, monkeypatch, text)).route
    assert route.relay_for == expected
    assert check(Config(route=[RouteConfig(to="discard:", relay_for=expected)])).route == (route,)


@pytest.mark.parametrize(
    "value",
    [
        "1",
        '"all"',
        '"192.0.2.0/24"',
        '["none"]',
        '["192.0.2.1/24"]',
        "[25]",
        "[[]]",
        "{ networks = [] }",
    ],
)
def test_any_other_relay_for_is_refused(tmp_path, monkeypatch, value):
    text = f"{LEAST}relay_for = {value}\n"
    (problem,) = problems_of(load_config, written(tmp_path, monkeypatch, text))
    expected = 'gatepost.toml: route[0].relay_for: expected "none", "authenticated", or an array of'
    assert problem.startswith(expected)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "::/64"])
def test_a_relay_for_every_client_is_refused(tmp_path, monkeypatch, network):
    text = f'{LEAST}relay_for = ["192.0.2.0/24", "{network}"]\n'
    (problem,) = problems_of(load_config, written(tmp_path, monkeypatch, text))
    where, found = "gatepost.toml: route[0].relay_for: ", f'your own networks, found "{network}"'
    assert problem == f"{where}expected {found}: every client could send mail to every domain"


def test_a_full_configuration_is_read(tmp_path, monkeypatch):
    config = load_config(written(tmp_path, monkeypatch, FULL))
    assert config == Config(
        server=ServerConfig(hostname="mx.example.com"),
        listen=(ListenConfig(address=InetAddress("127.0.0.1", 2525)),),
        tls=TlsConfig(certificates=(CertificateConfig(cert="tls/cert.pem", key="tls/key.pem"),)),
        recipients=RecipientsConfig(domains=("example.com",)),
        traps=TrapsConfig(lists=("verybadrcptto",)),
        route=(RouteConfig(to="maildir:var/mail/{domain}/{local}"),),
        plugin=(PluginConfig(use="plugins/no_mondays.py", options={"day": 0}),),
        base=tmp_path,
        source="gatepost.toml",
    )


@pytest.mark.parametrize("clear", [False, True])
def test_auth_requires_tls_or_auth_clear(clear):
    data = {
        "listen": [{"auth": True, "tls": "starttls"}, {"auth": True}],
        "tls": {"certificates": [{"cert": "c.pem", "key": "k.pem"}]},
        "auth": {"clear": clear, "users": "users.auth"},
    }
    if clear:
        assert config_from_dict(data).listen[1].auth
        return
    expected = "expected TLS on this listener, or auth.clear = true, found neither"
    assert problems_of(config_from_dict, data) == [f"configuration: listen[1].auth: {expected}"]


def test_tls_requires_a_certificate():
    data = {"listen": [{"tls": "starttls"}, {}, {"tls": "implicit"}]}
    expected = "expected a certificate in tls.certificates, found none"
    assert problems_of(config_from_dict, data) == [
        f"configuration: listen[0].tls: {expected}",
        f"configuration: listen[2].tls: {expected}",
    ]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_names_of_certificates_are_read(mode):
    names = ["*", "MX.Example.com", "*.Example.com", "mx.bücher.example"]
    pair = {"names": names, "cert": "c.pem", "key": "k.pem"}
    data = {"listen": [{"tls": mode}], "tls": {"certificates": [pair], "client_ca": "ca.pem"}}
    config = config_from_dict(data)
    read = ("*", "mx.example.com", "*.example.com", "mx.xn--bcher-kva.example")
    assert config.tls.certificates[0].names == read
    assert (config.listen[0].tls, config.tls.client_ca) == (mode, "ca.pem")


@pytest.mark.parametrize("name", ["", "*.", "*mx.example.com", "mx example", "a.*.example"])
def test_a_bad_name_of_a_certificate_is_refused(name):
    pair = {"names": [name], "cert": "c.pem", "key": "k.pem"}
    assert problems_of(config_from_dict, {"tls": {"certificates": [pair]}}) == [
        (
            "configuration: tls.certificates[0].names[0]: expected a domain name,"
            f' "*.example.com" or "*", found {json.dumps(name)}'
        )
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Junk",
        ".",
        "..",
        "../x",
        ".a/b",
        ".a/../b",
        ".a..b",
        ".a.",
        "..a",
        "/etc",
        ".a\0",
        ".a\n",
        ".a\x7f",
        ".é",
        "." + "x" * 200,
    ],
)
def test_a_bad_folder_of_a_maildir_is_refused(name):
    data = {"route": [{"to": "maildir:x", "maildir": {"folder": name}}]}
    expected = 'a folder of a Maildir such as ".Junk" or ".Lists.python", or ""'
    (problem,) = problems_of(config_from_dict, data)
    assert problem.startswith(
        f"configuration: route[0].maildir.folder: expected {expected}, found "
    )


@pytest.mark.parametrize("name", ["", ".Junk", ".Lists.python", ".a b", ".&AOk-t&AOk-"])
def test_folders_of_a_maildir_are_read(name):
    data = {"route": [{"to": "maildir:x", "maildir": {"folder": name}}]}
    assert config_from_dict(data).route[0].maildir.folder == name


def patterns(struct, prefix=""):
    for field, key in keys(struct):
        pattern = prefix + field.encode_name
        yield pattern
        if isinstance(key.kind, TableKind):
            yield from patterns(key.kind.struct, pattern + ".")
        if isinstance(key.kind, ArrayKind) and isinstance(key.kind.of, TableKind):
            yield from patterns(key.kind.of.struct, pattern + "[].")


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (
            '[limits]\nrecipients = "abc"',
            'limits.recipients: expected a whole number from 1 to 100000, found "abc"',
        ),
        (
            "[limits]\nrecipients = 0",
            "limits.recipients: expected a whole number from 1 to 100000, found 0",
        ),
        (
            "[limits]\nrecipients = true",
            "limits.recipients: expected a whole number from 1 to 100000, found true",
        ),
        (
            f"[limits]\nrecipients = 0x{'f' * 100}",
            (
                "limits.recipients: expected a whole number from 1 to 100000,"
                " found a number too long to show"
            ),
        ),
        (
            "[limits]\nerrors = 1979-05-27",
            "limits.errors: expected a whole number from 1 to 100000, found 1979-05-27",
        ),
        (
            '[limits]\nmessage_size = "25 MiB"',
            (
                "limits.message_size: expected a size from 1 to 1TiB"
                ' such as "10KB" or "25MiB", found "25 MiB"'
            ),
        ),
        (
            "[limits]\ncommand_line = 511",
            (
                "limits.command_line: expected a size from 512 to 64KiB"
                ' such as "10KB" or "25MiB", found 511'
            ),
        ),
        (
            '[limits]\ncommand_timeout = "0s"',
            (
                "limits.command_timeout: expected a duration from 100ms to 1h"
                ' such as "90s" or "5m", found "0s"'
            ),
        ),
        (
            "[limits]\ndata_timeout = nan",
            (
                "limits.data_timeout: expected a duration from 100ms to 1h"
                ' such as "90s" or "5m", found nan'
            ),
        ),
        (
            '[ledger]\nkeep = "forever"',
            (
                "ledger.keep: expected a duration from 1h to 3650d"
                ' such as "90s" or "5m", found "forever"'
            ),
        ),
        (
            "[limits]\nrecipient = 5",
            'limits.recipient: unknown key, did you mean "recipients"?',
        ),
        ("[limit]\nrecipients = 5", 'limit: unknown key, did you mean "limits"?'),
        (
            '[ledger]\nexport = "syslog:x"',
            'ledger.export: expected "jsonl:PATH", "unix:PATH" or "", found "syslog:x"',
        ),
        (
            '[ledger]\nprivacy = ["to"]',
            (
                'ledger.privacy[0]: expected "subject", "from", "message-id" or "addresses",'
                ' found "to"'
            ),
        ),
        (
            '[metrics]\nlisten = "unix:x"',
            (
                'metrics.listen: expected an IP address with a port such as "127.0.0.1:9925", or'
                ' "", found "unix:x"'
            ),
        ),
        (
            "[ledger]\nxyzzy = 5",
            "ledger.xyzzy: unknown key, expected one of enabled, keep, size, privacy, export",
        ),
        (
            '[ledger]\n"a\\u001bb" = 5',
            'ledger."a\\u001bb": unknown key, expected one of enabled, keep, size, privacy, export',
        ),
        (
            'base = "/"',
            (
                "base: unknown key, expected one of server, listen, tls, auth, smtp, limits,"
                " recipients, traps, route, queue, quarantine, plugin, dns, ledger, webhook,"
                " metrics, web, store, log, sql, ldap, redis, http"
            ),
        ),
        (
            '[dns]\nservers = ["ns.example.com"]',
            (
                "dns.servers[0]: expected the IP address of a name server such as"
                ' "192.0.2.1" or "127.0.0.1:5353", found "ns.example.com"'
            ),
        ),
        (
            '[dns]\nservers = ["unix:x"]',
            (
                "dns.servers[0]: expected the IP address of a name server such as"
                ' "192.0.2.1" or "127.0.0.1:5353", found "unix:x"'
            ),
        ),
        ("server = 5", "server: expected a table, found 5"),
        ("[listen]", "listen: expected [[listen]], found [listen]"),
        ('[route]\nto = "discard:"', "route: expected [[route]], found [route]"),
        (
            '[tls.certificates]\ncert = "a"\nkey = "b"',
            "tls.certificates: expected [[tls.certificates]], found [tls.certificates]",
        ),
        (
            '[server]\nhostname = "203.0.113.5"',
            (
                'server.hostname: expected a domain name such as "mx.example.com" or an address'
                ' literal such as "[192.0.2.1]", found "203.0.113.5"'
            ),
        ),
        ("listen = [5]", "listen[0]: expected a table, found 5"),
        (
            '[[listen]]\naddress = "localhost:25"',
            f'listen[0].address: expected {LISTEN_EXPECTED}, found "localhost:25"',
        ),
        ("[[listen]]\naddress = 25", f"listen[0].address: expected {LISTEN_EXPECTED}, found 25"),
        (
            '[[listen]]\nprotocol = "http"',
            'listen[0].protocol: expected "smtp", "lmtp", "milter" or "policy", found "http"',
        ),
        (
            '[[listen]]\ntls = "on"',
            'listen[0].tls: expected "none", "starttls" or "implicit", found "on"',
        ),
        (
            '[[listen]]\nproxy_from = ["192.0.2.1/24"]',
            (
                "listen[0].proxy_from[0]: expected a network such as"
                ' "192.0.2.0/24" or "2001:db8::/32", found "192.0.2.1/24"'
            ),
        ),
        (
            '[tls]\ncertificates = [{ cert = "c.pem" }]',
            (f"tls.certificates[0].key: expected {PATH_EXPECTED}, found nothing"),
        ),
        (
            '[server]\nhostname = "mx_example"',
            (
                'server.hostname: expected a domain name such as "mx.example.com"'
                ' or an address literal such as "[192.0.2.1]", found "mx_example"'
            ),
        ),
        (
            '[server]\nhostname = "[192.0.2.999]"',
            (
                'server.hostname: expected a domain name such as "mx.example.com"'
                ' or an address literal such as "[192.0.2.1]", found "[192.0.2.999]"'
            ),
        ),
        (
            '[server]\ndata_dir = ""',
            'server.data_dir: expected a folder such as "var", found ""',
        ),
        ("[server]\ndata_dir = 5", 'server.data_dir: expected a folder such as "var", found 5'),
        (
            '[server]\nuser = "a b"',
            'server.user: expected a system user name, or "", found "a b"',
        ),
        ('[smtp]\nstrict_paths = "no"', 'smtp.strict_paths: expected true or false, found "no"'),
        (
            "[smtp]\nlenient_paths = true",
            (
                "smtp.lenient_paths: unknown key, replaced: lenient is the default,"
                " strict_paths = true is the opposite"
            ),
        ),
        (
            '[recipients]\ndomains = "example.com"',
            (
                f"recipients.domains: expected an array, each item {DOMAIN_EXPECTED},"
                ' found "example.com"'
            ),
        ),
        (
            '[recipients]\ndomains = ["example.com", "@example.org", ".[192.0.2.1]"]',
            (
                f'recipients.domains[1]: expected {DOMAIN_EXPECTED}, found "@example.org"\n'
                f"gatepost.toml: recipients.domains[2]: expected {DOMAIN_EXPECTED},"
                ' found ".[192.0.2.1]"'
            ),
        ),
        (
            '[recipients]\ndomains = ["file:"]',
            f'recipients.domains[0]: expected {DOMAIN_EXPECTED}, found "file:"',
        ),
        (
            '[recipients]\nknown = ["postmaster"]',
            f'recipients.known[0]: expected {ADDRESS_EXPECTED}, found "postmaster"',
        ),
        (
            '[recipients]\nsubaddress = "++"',
            (
                'recipients.subaddress: expected separator characters such as "+" or "+-",'
                ' or "" for none, found "++"'
            ),
        ),
        (
            '[traps]\nlists = ["file:verybadrcptto"]',
            f'traps.lists[0]: expected {PATH_EXPECTED}, found "file:verybadrcptto"',
        ),
        (
            '[traps]\naction = "log"',
            'traps.action: expected "refuse" or "shadow", found "log"',
        ),
        (
            '[traps]\ndelay = "2m"',
            ('traps.delay: expected a duration from 0s to 1m such as "90s" or "5m", found "2m"'),
        ),
        (
            '[traps]\nreply = "250 2.0.0 Ok"',
            f'traps.reply: expected {REPLY_EXPECTED}, found "250 2.0.0 Ok"',
        ),
        (
            '[traps]\nreply = "554 4.7.1 No"',
            f'traps.reply: expected {REPLY_EXPECTED}, found "554 4.7.1 No"',
        ),
        (
            '[traps]\nreply = "554 5.7.1 Nö"',
            f'traps.reply: expected {REPLY_EXPECTED}, found "554 5.7.1 Nö"',
        ),
        ("[traps]\nreply = 554", f"traps.reply: expected {REPLY_EXPECTED}, found 554"),
        (
            '[[route]]\nfor = ["user@"]\nto = "discard:"',
            'route[0].for[0]: expected "*", a domain or an address, found "user@"',
        ),
        ("[[route]]", f"route[0].to: expected {TARGET_EXPECTED}, found nothing"),
        (
            '[[route]]\nto = "Maildir:var"',
            f'route[0].to: expected {TARGET_EXPECTED}, found "Maildir:var"',
        ),
        (
            '[recipients]\nknown = ["*@example.com"]',
            f'recipients.known[0]: expected {ADDRESS_EXPECTED}, found "*@example.com"',
        ),
        (
            '[[route]]\nto = "discard:"\nfor = ["*@example.com"]',
            'route[0].for[0]: expected "*", a domain or an address, found "*@example.com"',
        ),
        (
            '[[route]]\nto = "pipe:a\\nb"',
            f'route[0].to: expected {TARGET_EXPECTED}, found "pipe:a\\nb"',
        ),
        (
            '[[route]]\nto = "maildir"',
            f'route[0].to: expected {TARGET_EXPECTED}, found "maildir"',
        ),
        (
            '[[route]]\nto = "discard:"\nmode = "fast"',
            'route[0].mode: expected "direct" or "queue", found "fast"',
        ),
        (
            "[[plugin]]\noptions = []",
            (
                'plugin[0].use: expected a plugin name or a path such as "plugins/mine.py",'
                " found nothing\n"
                "gatepost.toml: plugin[0].options: expected a table, found an array"
            ),
        ),
        (
            '[[plugin]]\nuse = "x"\non_error = "accept"',
            'plugin[0].on_error: expected "defer", "skip" or "deny", found "accept"',
        ),
        (
            '[log]\nlevel = "INFO"',
            ('log.level: expected "debug", "info", "warning" or "error", found "INFO"'),
        ),
        ('[log]\nformat = "xml"', 'log.format: expected "auto", "json" or "text", found "xml"'),
    ],
)
def test_a_wrong_value_is_reported(tmp_path, monkeypatch, toml, problem):
    assert problems_of(load_config, written(tmp_path, monkeypatch, toml)) == (
        f"gatepost.toml: {problem}".split("\n")
    )


def test_all_problems_are_reported_at_once():
    data = {
        "server": {"hostnam": "x"},
        "limits": {"recipients": -1, "errors": "x"},
        "route": [{"to": "discard:"}, {"for": "*", "to": 5}],
    }
    assert problems_of(config_from_dict, data) == [
        'configuration: server.hostnam: unknown key, did you mean "hostname"?',
        "configuration: limits.recipients: expected a whole number from 1 to 100000, found -1",
        'configuration: limits.errors: expected a whole number from 1 to 100000, found "x"',
        (
            'configuration: route[1].for: expected an array, each item "*", a domain or an address,'
            ' found "*"'
        ),
        f"configuration: route[1].to: expected {TARGET_EXPECTED}, found 5",
    ]


def test_a_long_value_is_truncated():
    assert problems_of(config_from_dict, {"log": {"level": "x" * 1000}}) == [
        (
            'configuration: log.level: expected "debug", "info", "warning" or "error",'
            f' found "{"x" * 80}…"'
        )
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[server\n", "line 1, column 8: invalid TOML: "),
        ("a = 1\nb = = 2\n", "line 2, column 5: invalid TOML: "),
        ("a = 1\na = 2\n", "line 2, column 6: invalid TOML: the key a is set twice"),
        ("[x]\na = 1\na={}\n", "line 3, column 5: invalid TOML: the key a is set twice"),
        ("[x]\n[y]\n[x]\n", "line 3, column 3: invalid TOML: the table [x] is there twice"),
        ("[x.y]\n[x.y]  # z\n", "line 2, column 5: invalid TOML: the table [x.y] is there twice"),
        ("a = 'x", "end of document: invalid TOML: "),
        ("a = 2020-02-30\n", "line 1, column 5: invalid TOML: "),
        (f"a = {'9' * 5000}\n", "invalid TOML: "),
        (b"a = 1\nb = '\xff'\n", "line 2: expected UTF-8, found byte 0xff"),
    ],
)
def test_invalid_toml_is_reported(tmp_path, monkeypatch, content, problem):
    (found,) = problems_of(load_config, written(tmp_path, monkeypatch, content))
    assert found.startswith(f"gatepost.toml: {problem}")


def test_deep_nesting_is_refused(tmp_path, monkeypatch):
    assert problems_of(load_config, written(tmp_path, monkeypatch, "a = " + "[" * 100_000)) == [
        "gatepost.toml: expected TOML, found arrays or tables nested too deeply"
    ]


def test_a_byte_order_mark_is_ignored(tmp_path, monkeypatch):
    file = written(
        tmp_path, monkeypatch, b'\xef\xbb\xbf[log]\r\nformat = "text"\r\n' + LEAST.encode()
    )
    assert load_config(file).log.format == "text"


def test_an_unreadable_file_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert problems_of(load_config, "none.toml") == [
        "none.toml: cannot be read: No such file or directory"
    ]
    assert problems_of(load_config, str(tmp_path)) == [
        f"{tmp_path}: cannot be read: Is a directory"
    ]


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "gatepost.toml").write_text(
        '[server]\ndata_dir = "var"\n'
        '[recipients]\ndomains = ["example.com", "file:rcpthosts", "file:/abs/hosts"]\n'
        '[[listen]]\naddress = "unix:gp.sock"\n[[route]]\nto = "discard:"\n'
    )
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("etc/gatepost.toml"))
    etc = tmp_path / "etc"
    assert config.data_dir == etc / "var"
    assert config.path("/abs") == Path("/abs")
    assert config.listen[0].address == UnixAddress("gp.sock")
    assert config.sources(config.recipients.domains) == (
        ["example.com"],
        [etc / "rcpthosts", Path("/abs/hosts")],
    )


@pytest.mark.parametrize("hostname", ["mx.example.com", "localhost", "[192.0.2.1]", "[IPv6:::1]"])
def test_hostnames_are_read(hostname):
    assert config_from_dict({"server": {"hostname": hostname}}).server.hostname == hostname


@pytest.mark.parametrize("separator", ["", "+", "-", "=", "."])
def test_separators_are_read(separator):
    config = config_from_dict({"recipients": {"subaddress": separator}})
    assert config.recipients.subaddress == separator


def test_values_are_converted_to_their_types():
    config = config_from_dict(
        {
            "limits": {"message_size": "10KB", "command_timeout": "90s", "data_timeout": 7},
            "recipients": {
                "domains": [".example.com", "[192.0.2.1]"],
                "known": ["a@example.com", "@b.example"],
            },
            "route": [{"for": ["example.com", "user@example.org", "*"], "to": "discard:"}],
            "smtp": {"strict_paths": True},
            "traps": {"reply": "450 4.7.1 Later", "delay": "250ms", "action": "shadow"},
            "listen": [{"address": "[::1]:0"}],
        },
        Path("/etc"),
    )
    assert config.limits.message_size == 10_000
    assert (config.limits.command_timeout, config.limits.data_timeout) == (90.0, 7.0)
    assert config.recipients.domains == (".example.com", "[192.0.2.1]")
    assert config.recipients.known == ("a@example.com", "@b.example")
    assert config.route == (
        RouteConfig(for_=("example.com", "user@example.org", "*"), to="discard:"),
    )
    assert config.smtp.strict_paths is True
    assert config.traps.reply == Reply(450, "Later", "4.7.1")
    assert config.traps.delay == 0.25
    assert config.listen == (ListenConfig(address=InetAddress("::1", 0)),)
    assert config.base == Path("/etc")


def test_a_configuration_built_in_code_passes_the_same_checks(tmp_path):
    config = Config(
        recipients=RecipientsConfig(domains=["example.com"]),
        listen=[ListenConfig(address=InetAddress("127.0.0.1", 0))],
        route=[RouteConfig(to="discard:")],
        base=tmp_path,
    )
    checked = check(config)
    assert checked.base == tmp_path
    assert checked.recipients.domains == ("example.com",)
    assert check(checked) == checked


def test_a_wrong_configuration_built_in_code_is_reported():
    config = Config(
        limits=LimitsConfig(recipients=0),
        traps=TrapsConfig(reply=Reply(250, "Ok", "2.0.0")),
    )
    assert problems_of(check, config) == [
        "configuration: limits.recipients: expected a whole number from 1 to 100000, found 0",
        f"configuration: traps.reply: expected {REPLY_EXPECTED}, found 250 2.0.0 Ok",
    ]


def test_the_defaults_pass_the_checks():
    assert check(Config()) == Config()


def structs(struct):
    yield struct
    for _, key in keys(struct):
        kind = key.kind.of if isinstance(key.kind, ArrayKind) else key.kind
        if isinstance(kind, TableKind):
            yield from structs(kind.struct)


@pytest.mark.parametrize("struct", list(structs(Config)))
def test_every_field_has_a_description(struct):
    named = {field.name for field, key in keys(struct) if key.about.endswith(".")}
    fields = {field.name for field in msgspec.structs.fields(struct)}
    assert fields - named <= {"base", "source"}


def test_every_limit_has_a_reason():
    assert [field.name for field, key in keys(LimitsConfig) if not key.why] == []


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.sampled_from(["discard:", "unix:", "fd:0", "1s", "10KB", "@", "file:x", "[a:b]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([pattern.rpartition(".")[2] for pattern in patterns(Config)])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def shaped(struct):
    """A strategy for dicts with the keys of the schema and any values, for all kinds."""

    def of(kind):
        if isinstance(kind, TableKind):
            return VALUES | shaped(kind.struct)
        if isinstance(kind, ArrayKind):
            return VALUES | st.lists(of(kind.of), max_size=2)
        return VALUES

    return st.fixed_dictionaries(
        {}, optional={field.encode_name: of(key.kind) for field, key in keys(struct)}
    )


def read_or_problems(read, argument):
    try:
        return read(argument), []
    except ConfigError as error:
        return None, [str(problem) for problem in error.problems]


@given(shaped(Config) | VALUES)
def test_any_data_is_a_configuration_or_an_error(data):
    config, problems = read_or_problems(config_from_dict, data)
    assert all("\n" not in problem for problem in problems)
    assert problems or check(config) == config


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_configuration_or_an_error(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    config, problems = read_or_problems(load_config, file)
    assert all(problem.startswith(f"{file}: ") for problem in problems)
    assert problems or isinstance(config, Config)


RELAYS = [
    "mx:",
    "smtp://relay.example",
    "smtps://relay.example",
    "sendmail:/bin/x",
    "qmail-queue:/x",
]


@pytest.mark.parametrize("target", RELAYS)
def test_every_domain_and_a_route_to_other_servers_is_an_error(target):
    tables = {"recipients": {"domains": ["*"]}, "route": [{"to": "discard:"}, {"to": target}]}
    with pytest.raises(ConfigError) as caught:
        config_from_dict(tables)
    assert str(caught.value) == (
        'configuration: route[1].to: expected your domains in recipients.domains, found "*": with'
        f" {target.partition(':')[0]}: every client could send mail to every domain"
    )
    tables["recipients"]["domains"] = ["example.com"]
    config_from_dict(tables)


@pytest.mark.parametrize("target", ["maildir:m/{domain}/{local}", "lmtp:unix:s", "discard:"])
def test_every_domain_can_be_stored(target):
    tables = {"recipients": {"domains": ["*"]}, "route": [{"to": target}]}
    assert config_from_dict(tables).recipients.domains == ("*",)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", "192.0.2.1:53"),
        ("127.0.0.1:5353", "127.0.0.1:5353"),
        ("2001:db8::53", "[2001:db8::53]:53"),
        ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
    ],
)
def test_name_servers_have_a_port(text, server):
    assert config_from_dict({"dns": {"servers": [text]}}).dns.servers == (server,)


@pytest.mark.parametrize("text", ["192.0.2.1:0", "192.0.2.1:70000", "", "fd:3"])
def test_other_name_servers_are_refused(text):
    with pytest.raises(ConfigError):
        config_from_dict({"dns": {"servers": [text]}})
