"""Each plugin and file of qpsmtpd, and what becomes of it."""

import struct

import pytest
from tests.docs.test_equivalents import QPSMTPD
from tests.migration.made import import_qpsmtpd, write_files

from gatepost.importers.equivalents import equivalents
from gatepost.migration.qpsmtpd.table import BUILT_IN, PLUGINS

LIST = "example.com\n"


def test_each_function_is_for_a_plugin_of_the_table_of_equivalents():
    names = {row.name for row in equivalents() if row.server == "qpsmtpd"}
    assert set(PLUGINS) <= names
    assert set(BUILT_IN) <= names
    assert not set(PLUGINS) & set(BUILT_IN)


def test_every_plugin_of_qpsmtpd_has_a_finding(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "\n".join(QPSMTPD)})
    reported = [text for kind in ("TAKEN", "DIFFERENT", "LEFT") for _, text in found.report(kind)]
    missing = [one for one in QPSMTPD if not any(one in text for text in reported)]
    assert missing == ["loop", "rcpt_ok"]  # a limit, and domains that are in files


# checks: the line of a plugin, its files, the plugin here, its options

CHECKS = [
    ("earlytalker", {}, "early_talker", {"wait": "1s", "early": "deny"}),
    ("check_earlytalker wait 90", {}, "early_talker", {"wait": "15s", "early": "deny"}),
    ("earlytalker wait x reject_type temp", {}, "early_talker", {"wait": "1s", "early": "defer"}),
    (
        "dnsbl",
        {"dnsbl_zones": "zen.example\n", "dnsbl_allow": "192.0.2.\n"},
        "dnsbl",
        {"zones": ["zen.example"], "listed": "deny", "exempt_clients": ["192.0.2.0/24"]},
    ),
    (
        "rhsbl",
        {"rhsbl_zones": "dbl.example a text\n"},
        "rhsbl",
        {"zones": ["dbl.example"], "check": ["sender", "helo"], "listed": "deny"},
    ),
    ("dns_whitelist_soft", {"whitelist_zones": "wl.example"}, "dnswl", {"zones": ["wl.example"]}),
    ("fcrdns", {}, "iprev", {}),
    ("helo", {}, "helo", {"invalid": "deny"}),
    (
        "helo policy strict",
        {},
        "helo",
        {"invalid": "deny", "bare": "deny", "unresolved": "deny", "literal": "deny"},
    ),
    ("ident/p0f /run/p0f", {}, "p0f", {"socket": "/run/p0f"}),
    (
        "resolvable_fromhost",
        {},
        "sender_domain",
        {"missing": "defer", "null_mx": "defer", "bogus": "defer"},
    ),
    ("sender_permitted_from", {}, "spf", {}),
    (
        "sender_permitted_from reject 3",
        {},
        "spf",
        {"temperror": "defer", "fail": "deny", "softfail": "defer"},
    ),
    (
        "greylisting black_timeout 10m grey_timeout 600 deny_late 1 recipient 1",
        {},
        "greylist",
        {
            "delay": "600s",
            "window": "1200s",
            "keep": "3110400s",
            "recipient": "address",
            "at": "data",
        },
    ),
    (
        "headers require From,Date past 5",
        {},
        "headers",
        {
            "required": ["From", "Date"],
            "missing": "deny",
            "repeated": "deny",
            "oldest": "5d",
            "date_old": "deny",
            "date_future": "none",
        },
    ),
    ("bogus_bounce deny", {}, "bounces", {"several": "deny"}),
    ("bogus_bounce denysoft", {}, "bounces", {"several": "defer"}),
    ("dkim", {}, "dkim", {}),
    ("dmarc reject 1", {}, "dmarc", {"reject": "deny"}),
    ("dmarc reject 0", {}, "dmarc", {}),
    (
        "spamassassin reject 12 spamd_socket /run/spamd headers none",
        {},
        "spamassassin",
        {"deny": 12.0, "server": "unix:/run/spamd", "mark": False},
    ),
    ("spamassassin", {}, "spamassassin", {"deny": 0.0, "server": "localhost:783"}),
    (
        "uribl action denysoft",
        {"uribl_zones": "multi.example 2,8 deny\nbl.example\n"},
        "uribl",
        {"zones": {"multi.example": {"&2": "deny", "&8": "deny"}, "bl.example": "defer"}},
    ),
    (
        "virus/clamdscan clamd_host clam.example clamd_port 3310 max_size 10 deny_viruses no",
        {},
        "clamav",
        {
            "server": "clam.example:3310",
            "too_large": "none",
            "largest": 10240,
            "infected": "none",
        },
    ),
]


@pytest.mark.parametrize(("line", "files", "use", "options"), CHECKS, ids=[c[0] for c in CHECKS])
def test_a_check_becomes_a_plugin_with_these_options(tmp_path, line, files, use, options):
    found = import_qpsmtpd(tmp_path, {"plugins": line, **files})
    assert found.options(use) == options
    assert ("config/plugins:1", f"{line.split()[0]}: the plugin {use}") in found.report("TAKEN")


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("helo reject 0", "helo"),
        ("check_earlytalker action log", "early_talker"),
        ("bogus_bounce", "bounces"),
    ],
)
def test_a_check_that_rejects_nothing_is_in_shadow_mode(tmp_path, line, use):
    assert import_qpsmtpd(tmp_path, {"plugins": line}).plugin(use)["action"] == "log"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("dnsbl", "no list in dnsbl_zones"),
        ("rhsbl", "no list in rhsbl_zones"),
        ("uribl", "no list in uribl_zones"),
        ("dns_whitelist_soft", "no list"),
        ("ident/p0f /run/p0f version 2", "only p0f 3 is asked"),
        ("greylisting black_timeout soon", "a time that is not one"),
        ("loop many", "expected a number"),
        ("queue/maildir relative", "the arguments are wrong"),
        ("queue/smtp-forward host;rm 25", "the arguments are wrong"),
        ("queue/smtp-forward host port", "the arguments are wrong"),
        ("queue/smtp-forward", "the arguments are wrong"),
        ("rcpt_map file x", "expected file NAME and domain NAME"),
    ],
)
def test_a_plugin_that_cannot_be_taken_over_has_a_reason(tmp_path, line, reason):
    found = import_qpsmtpd(tmp_path, {"plugins": line})
    assert found.left("config/plugins:1") == [f"{line.split()[0]}: {reason}"]


def test_two_instances_of_a_plugin_are_one(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "earlytalker:0 wait 1\nearlytalker:1 wait 3"})
    assert found.options("early_talker")["wait"] == "3s"


def test_allow_lists_come_first_and_exempt_from_dnsbl_and_greylist(tmp_path):
    plugins = "dnsbl\ngreylisting\ndns_whitelist_soft\nhelo"
    files = {"dnsbl_zones": "bl.example", "whitelist_zones": "wl.example"}
    found = import_qpsmtpd(tmp_path, {"plugins": plugins, **files})
    uses = [one["use"] for one in found.config["plugin"]]
    assert uses == ["dnswl", "dnsbl", "greylist", "helo"]
    assert found.plugin("dnsbl")["unless"] == {"results": {"dnswl": "pass"}}
    assert found.plugin("greylist")["unless"] == {"results": {"dnswl": "pass"}}
    assert "unless" not in found.plugin("helo")


def test_exempt_hosts_are_left_out_of_the_checks(tmp_path):
    files = {"whitelisthosts": "192.0.2.7\n", "whitelistsenders": "a@example.org\n"}
    found = import_qpsmtpd(tmp_path, {"plugins": "whitelist\nhelo\nspamassassin", **files})
    assert found.plugin("helo")["unless"] == {"networks": ["192.0.2.7/32"]}
    assert "unless" not in found.plugin("spamassassin")
    (text,) = found.left("config/whitelistsenders")
    assert text.startswith("a name that a client claims")


# traps


def test_honeypots_become_traps(tmp_path):
    control = write_files(
        tmp_path / "control", {"verybadrcptto": "Trap@Example.com leaked\nb@c.de\n"}
    )
    found = import_qpsmtpd(tmp_path, {"plugins": "check_verybadrcptto"}, control=control)
    assert found.config["traps"] == {"lists": ["verybadrcptto"]}
    assert found.entries("verybadrcptto") == ["Trap@Example.com leaked", "b@c.de"]
    assert (f"{control}/verybadrcptto", "traps: 2, in verybadrcptto") in found.report("TAKEN")


@pytest.mark.parametrize("name", ["verybadrcptto", "check_verybadrcptto", "check_verybadrcptto:0"])
def test_the_plugin_of_honeypots_is_found_by_its_names(tmp_path, name):
    found = import_qpsmtpd(tmp_path, {"plugins": name, "verybadrcptto": "a@example.com"})
    assert found.config["traps"]["lists"] == ["verybadrcptto"]


@pytest.mark.parametrize("entry", ["@example.com", "/x/", "a b", "postmaster", "a@b@c", "@"])
def test_only_an_address_becomes_a_trap(tmp_path, entry):
    files = {"plugins": "check_verybadrcptto", "verybadrcptto": f"a@example.com\n{entry}\n"}
    found = import_qpsmtpd(tmp_path, files)
    assert found.entries("verybadrcptto") == ["a@example.com"]
    assert len(found.left("config/verybadrcptto:2")) == 1


def test_a_list_without_entries_is_not_taken_over(tmp_path):
    files = {"plugins": "check_verybadrcptto\nbadrcptto\nbadmailfrom", "verybadrcptto": "# none\n"}
    found = import_qpsmtpd(tmp_path, files)
    assert "traps" not in found.config
    assert found.different("config/plugins:1") == [
        "check_verybadrcptto: the list verybadrcptto is empty"
    ]


def test_a_list_without_its_plugin_is_not_taken_over(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "", "verybadrcptto": "a@example.com\n"})
    assert "traps" not in found.config
    assert found.left("config/verybadrcptto")


# recipients


def cdb(*keys):
    body = b"".join(struct.pack("<II", len(key), 0) + key for key in keys)
    return struct.pack("<II", 2048 + len(body), 0) * 256 + body


def test_domains_are_those_of_three_files(tmp_path):
    files = {
        "plugins": "rcpt_ok",
        "me": "mx.example.com",
        "rcpthosts": "Example.com\n.sub.example\n-bad-\nbad line\n",
        "morercpthosts.cdb": cdb(b"more.example", b"\xff"),
    }
    found = import_qpsmtpd(tmp_path, files)
    domains = ["mx.example.com", "file:rcpthosts", "file:morercpthosts"]
    assert found.config["recipients"]["domains"] == domains
    assert found.entries("rcpthosts") == ["example.com", ".sub.example"]
    assert found.entries("morercpthosts") == ["more.example"]
    assert len(found.left("config/rcpthosts:3") + found.left("config/rcpthosts:4")) == 2
    assert len(found.left("config/morercpthosts.cdb:2")) == 1


def test_a_damaged_cdb_file_leaves_the_rest(tmp_path):
    files = {"plugins": "rcpt_ok", "rcpthosts": LIST, "morercpthosts.cdb": b"damaged"}
    found = import_qpsmtpd(tmp_path, files)
    assert found.entries("rcpthosts") == ["example.com"]
    assert found.left("config/morercpthosts.cdb") == ["expected a CDB file"]


def test_refused_recipients_refuse_only_themselves(tmp_path):
    listed = "old@example.com left\n@gone.example\n^x.*@example\\.com$ no\na/b\n!\nnoat\n(?=x)y*\n"
    found = import_qpsmtpd(tmp_path, {"plugins": "badrcptto", "badrcptto": listed})
    assert found.config["traps"]["lists"] == ["badrcptto"]
    assert found.entries("badrcptto") == [
        "old@example.com class=recycled left",
        "@gone.example class=recycled",
        "/^x.*@example\\.com$/ class=recycled no",
        "/a\\/b/ class=recycled",
        "/!/ class=recycled",
    ]
    assert [len(found.left(f"config/badrcptto:{number}")) for number in (6, 7)] == [1, 1]


def test_refused_senders_become_rules(tmp_path):
    listed = "spam@bad.example no thanks\n@bad2.example\n^r.*@.*\\.biz$ x\nnoat\n(?=x)y*\n"
    found = import_qpsmtpd(tmp_path, {"plugins": "badmailfrom", "badmailfrom": listed})
    assert found.options("regex") == {"files": ["badmailfrom.rules"]}
    assert found.entries("badmailfrom.rules") == [
        "badmailfrom sender deny /^(?:spam@bad\\.example)$/ no thanks",
        "badmailfrom sender deny /@bad2\\.example$/",
        "badmailfrom sender deny /^r.*@.*\\.biz$/ x",
    ]
    assert len(found.left("config/badmailfrom:5")) == 1


def test_refused_names_become_rules(tmp_path):
    files = {"plugins": "check_spamhelo", "badhelo": "yahoo.com\n^dyn\n!.*\\.com$\n"}
    found = import_qpsmtpd(tmp_path, files)
    assert found.entries("badhelo.rules") == [
        "badhelo helo deny /^(?:yahoo\\.com)$/",
        "badhelo helo deny /^dyn/",
    ]
    assert [one["use"] for one in found.config["plugin"]] == ["regex"]


def test_rules_do_not_apply_to_clients_that_may_relay(tmp_path):
    plugins = "badmailfrom\nrelay\nauth/auth_flat_file"
    files = {"badmailfrom": "a@example.org", "relayclients": "10.\n"}
    found = import_qpsmtpd(tmp_path, {"plugins": plugins, **files})
    unless = {"authenticated": True, "networks": ["10.0.0.0/8"]}
    assert found.plugin("regex")["unless"] == unless


def test_a_map_of_recipients_is_the_list_of_those_that_exist(tmp_path):
    files = {
        "plugins": "rcpt_map domain example.com file map_example\nrcpt_ok",
        "map_example": "me@example.com OK\nyou@example.com DECLINED\nno@example.com DENY gone\n",
        "rcpthosts": "example.com\nother.example\n.sub.example\n",
    }
    found = import_qpsmtpd(tmp_path, files)
    assert found.config["recipients"]["known"] == ["file:map_example.known"]
    assert found.entries("map_example.known") == [
        "me@example.com",
        "you@example.com",
        "@other.example",
        "/@.*\\.sub\\.example$/",
    ]


# relay, delivery, TLS, AUTH


def test_clients_that_may_not_relay_are_left_out(tmp_path):
    files = {
        "plugins": "relay\nqueue/smtp-forward 10.2.2.2 9025 xclient",
        "relayclients": "10.0.0.0/30\n192.168.\nbad\n",
        "norelayclients": "10.0.0.1\n",
        "morerelayclients.cdb": cdb(b"192.0.2."),
    }
    found = import_qpsmtpd(tmp_path, files)
    (route,) = found.config["route"]
    assert route == {
        "for": ["*"],
        "to": "smtp://10.2.2.2:9025",
        "client": {"forward": "xclient"},
        "relay_for": ["10.0.0.0/32", "10.0.0.2/31", "192.0.2.0/24", "192.168.0.0/16"],
    }
    assert found.left("config/relayclients:3") == [
        "expected an address or a network such as 192.0.2.1 or 192.0.2.0/24"
    ]


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("queue/maildir /var/mail", "maildir:/var/mail"),
        ("queue/maildir /var/mail/ %d/%l 770", "maildir:/var/mail/{domain}/{local}"),
        ("queue/maildir /var/mail %u", "maildir:/var/mail/{local}@{domain}"),
        ("queue/qmail-queue", "qmail-queue:/var/qmail/bin/qmail-queue"),
        ("queue/qmail-queue /opt/queue", "qmail-queue:/opt/queue"),
        ("queue/postfix-queue", "sendmail:/usr/sbin/sendmail"),
        ("queue/exim-bsmtp", "sendmail:/usr/sbin/sendmail"),
        ("queue/smtp-forward mail.example", "smtp://mail.example:25"),
        ("queue/smtp-forward 2001:db8::1 26", "smtp://[2001:db8::1]:26"),
        ("async/queue/smtp-forward mail.example", "smtp://mail.example:25"),
        ("", "maildir:var/mail/{domain}/{local}"),
    ],
)
def test_a_queue_plugin_becomes_the_route(tmp_path, line, target):
    (route,) = import_qpsmtpd(tmp_path, {"plugins": line}).config["route"]
    assert route["to"] == target


def test_the_first_queue_plugin_counts(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "queue/qmail-queue\nqueue/maildir /var/mail"})
    assert len(found.config["route"]) == 1
    assert len(found.left("config/plugins:2")) == 1


def test_a_certificate_stays_where_it_is(tmp_path):
    files = {"plugins": "tls", "/ssl/qpsmtpd-server.crt": "c", "/ssl/qpsmtpd-server.key": "k"}
    found = import_qpsmtpd(tmp_path, files)
    ssl = tmp_path / "theirs/ssl"
    assert found.config["tls"]["certificates"] == [
        {"cert": f"{ssl}/qpsmtpd-server.crt", "key": f"{ssl}/qpsmtpd-server.key"}
    ]
    assert found.config["listen"][0]["tls"] == "starttls"


def test_without_a_certificate_no_tls_is_offered(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "tls cert.pem key.pem"})
    assert "tls" not in found.config["listen"][0]
    assert found.left("config/plugins:1")[0].startswith("tls: no file")


def test_passwords_are_not_copied(tmp_path):
    files = {
        "plugins": "tls c k\nauth/auth_flat_file",
        "flat_auth_pw": "ann@example.com:hunter2\nbob@example.com:hunter3\n",
        "/c": "c",
        "/k": "k",
    }
    found = import_qpsmtpd(tmp_path, files)
    assert found.config["auth"] == {"users": "users.auth"}
    assert found.config["listen"][0]["auth"] is True
    assert found.config["route"][0]["relay_for"] == ["authenticated"]
    assert (found.folder / "users.auth").stat().st_mode & 0o777 == 0o600
    assert found.left("config/plugins:2") == [
        "auth/auth_flat_file: 2 users in flat_auth_pw; add each with gatepost users add NAME"
    ]
    written = "".join(path.read_text() for path in found.folder.iterdir())
    reported = str([found.report(kind) for kind in ("TAKEN", "DIFFERENT", "LEFT")])
    assert "hunter" not in written + reported


def test_auth_is_not_offered_without_tls(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "auth/auth_imap host 143"})
    assert "auth" not in found.config["listen"][0]
    assert found.left("listen") == [
        "AUTH is not offered without TLS: set listen.tls and listen.auth"
    ]


def test_dkim_keys_stay_where_they_are(tmp_path):
    files = {
        "plugins": "dkim",
        "dkim/example.com/private": "secret key",
        "dkim/example.com/selector": "may2013\n",
        "dkim/bad selector/private": "x",
        "dkim/example.org/private": "x",
    }
    found = import_qpsmtpd(tmp_path, files)
    file = f"{tmp_path}/theirs/config/dkim/example.com/private"
    assert found.options("dkim_sign") == {
        "keys": [{"domains": ["example.com"], "selector": "may2013", "file": file}]
    }
    assert len(found.left("config/dkim/example.org/private")) == 1
    assert "secret key" not in (found.folder / "gatepost.toml").read_text()


def test_the_header_of_stunnel_is_required_from_this_machine(tmp_path):
    found = import_qpsmtpd(tmp_path, {"plugins": "stunnel proxy on"})
    assert found.config["listen"][0]["proxy_from"] == ["127.0.0.1/32"]


# files of the server


@pytest.mark.parametrize(
    ("name", "text", "table", "keys"),
    [
        ("me", "mx.example.com", "server", {"hostname": "mx.example.com"}),
        ("databytes", "1000", "limits", {"message_size": 1000}),
        ("timeout", "90", "limits", {"command_timeout": "90s"}),
        ("timeoutsmtpd", "9000", "limits", {"command_timeout": "3600s"}),
        ("loglevel", "LOGDEBUG", "log", {"level": "debug"}),
        ("loglevel", "4", "log", {"level": "warning"}),
        ("logging", "logging/warn LOGERROR", "log", {"level": "error"}),
        ("logging", "logging/file loglevel 6 /var/log/x", "log", {"level": "info"}),
    ],
)
def test_a_file_becomes_a_key(tmp_path, name, text, table, keys):
    assert import_qpsmtpd(tmp_path, {name: f"{text}\n"}).config[table] == keys


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("me", "no name"),
        ("me", "-x-"),
        ("databytes", "many"),
        ("databytes", "-1"),
        ("timeout", "0"),
    ],
)
def test_a_wrong_value_is_a_finding(tmp_path, name, text):
    found = import_qpsmtpd(tmp_path, {name: text})
    assert len(found.left(f"config/{name}:1")) == 1


def test_no_limit_of_the_size_is_different_here(tmp_path):
    found = import_qpsmtpd(tmp_path, {"databytes": "0"})
    assert found.different("config/databytes:1") == ["no limit there; 25MiB here"]


# plugins of one's own


def test_a_plugin_of_ones_own_is_reported_with_its_hooks(tmp_path):
    code = "sub register { $self->register_hook('rcpt', 'x') }\nsub hook_mail_pre {}\n"
    files = {"plugins": "company/vip level 3", "/plugins/company/vip": code}
    found = import_qpsmtpd(tmp_path, files)
    assert found.left("config/plugins:1") == [
        (
            "company/vip: a plugin of your own; its hooks, and those here: mail_pre: no equivalent,"
            " rcpt: on_rcpt"
        )
    ]


@pytest.mark.parametrize("name", ["nosuch", "My::Module", "../../etc/passwd", "/etc/passwd"])
def test_an_unknown_plugin_is_reported(tmp_path, name):
    found = import_qpsmtpd(tmp_path, {"plugins": name})
    assert found.left("config/plugins:1") == [
        f"{name}: an unknown plugin, and its file was not found"
    ]


@pytest.mark.parametrize(
    ("line", "files", "place", "part"),
    [
        ("relay only 1", {}, "config/plugins:1", "recipients.domains = []"),
        ("badmailfrom reject 0", {"badmailfrom": "a@b.example"}, "config/plugins:1", "action"),
        (
            "dnsbl",
            {"dnsbl_zones": "a.example", "dnsbl_rejectmsg": "x"},
            "config/dnsbl_rejectmsg",
            "text",
        ),
        ("spamassassin munge_subject_threshold 5", {}, "config/plugins:1", "rewrite_header"),
        ("ident/p0f /run/p0f smite_os windows", {}, "config/plugins:1", "smite_os"),
        ("relay", {"morerelayclients.cdb": b"damaged"}, "config/morerelayclients.cdb", "CDB"),
        ("relay", {"spool_dir": "/tmp"}, "config/spool_dir:1", "data_dir"),
    ],
)
def test_what_differs_is_reported(tmp_path, line, files, place, part):
    found = import_qpsmtpd(tmp_path, {"plugins": line, **files})
    assert any(part in text for text in found.left(place) + found.different(place))
