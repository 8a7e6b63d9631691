"""Each plugin and file of Haraka, and what becomes of it."""

import json

import pytest
from tests.migration.made import import_haraka

from gatepost.importers.equivalents import equivalents
from gatepost.migration.haraka.outbound import MOST_DOMAINS
from gatepost.migration.haraka.table import BUILT_IN, PLUGINS

HOSTS = {"host_list": "example.com\n"}


def test_each_function_is_for_a_plugin_of_the_table_of_equivalents():
    names = {row.name for row in equivalents() if row.server == "Haraka"}
    assert set(PLUGINS) <= names
    assert names >= BUILT_IN
    assert not set(PLUGINS) & BUILT_IN


def test_every_plugin_of_haraka_has_a_finding(tmp_path):
    names = [row.name for row in equivalents() if row.server == "Haraka"]
    found = import_haraka(tmp_path, {"plugins": "\n".join(names)})
    reported = {text for kind in ("TAKEN", "DIFFERENT", "LEFT") for _, text in found.report(kind)}
    without = [one for one in names if not any(text.startswith(f"{one}:") for text in reported)]
    silent = {"rcpt_to.in_host_list", "xclient"}  # their values are in files
    assert set(without) == silent


CHECKS = [
    ("early_talker", {}, "early_talker", {"wait": "5s"}),
    ("early_talker", {"early_talker.ini": "pause=99\n"}, "early_talker", {"wait": "15s"}),
    (
        "dns-list",
        {
            "dns-list.ini": "zones=a.example, b.example,w.example;k.example\n"
            "[b.example]\nreject=false\n[w.example]\ntype=allow\n[k.example]\ntype=karma\n"
        },
        "dnsbl",
        {"zones": {"a.example": "deny", "b.example": 2}},
    ),
    ("dnsbl", {"dnsbl.zones": "old.example\n"}, "dnsbl", {"zones": {"old.example": "deny"}}),
    ("dns-list", {"dnswl.zones": "wl.example\n"}, "dnswl", {"zones": ["wl.example"]}),
    ("fcrdns", {}, "iprev", {}),
    ("connect.fcrdns", {"fcrdns.ini": "[reject]\nno_rdns=1\n"}, "iprev", {"missing": "deny"}),
    (
        "haraka-plugin-helo.checks",
        {"helo.checks.ini": "[reject]\nbare_ip=true\nforward_dns=yes\nvalid_hostname=no\n"},
        "helo",
        {"invalid": "deny", "unresolved": "deny"},
    ),
    (
        "greylist",
        {"greylist.ini": "[period]\nblack=60\ngrey=600\n[ip_whitelist]\n192.0.2.1/24\nbad\n"},
        "greylist",
        {
            "delay": "60s",
            "window": "660s",
            "keep": "3024000s",
            "exempt_clients": ["192.0.2.0/24"],
        },
    ),
    (
        "mail_from.is_resolvable",
        {},
        "sender_domain",
        {"missing": "deny", "bogus": "deny", "null_mx": "deny"},
    ),
    (
        "mail_from.is_resolvable",
        {"mail_from.is_resolvable.ini": "[reject]\nno_mx=defer\n"},
        "sender_domain",
        {"missing": "defer", "bogus": "defer", "null_mx": "defer"},
    ),
    ("spf", {}, "spf", {}),
    (
        "spf",
        {"spf.ini": "[deny]\nmfrom_fail=true\n[defer]\nmfrom_temperror=true\n"},
        "spf",
        {"fail": "deny", "temperror": "defer"},
    ),
    ("dkim", {}, "dkim", {}),
    ("dkim_verify", {}, "dkim", {}),
    (
        "headers",
        {"headers.ini": "required=From,Date\ndate_past_days=9\n[reject]\ninvalid_date=on\n"},
        "headers",
        {
            "required": ["From", "Date"],
            "oldest": "9d",
            "date_old": "deny",
            "date_future": "none",
        },
    ),
    ("bounce", {}, "bounces", {"several": "deny"}),
    (
        "bounce",
        {"bounce.ini": "[reject]\nsingle_recipient=false\n", "bounce_bad_rcpt": "a@b.example\n"},
        "bounces",
        {"several": "none", "never_send": ["file:bounce_bad_rcpt"]},
    ),
    ("clamd", {}, "clamav", {"server": ["localhost:3310"]}),
    (
        "clamd",
        {"clamd.ini": "clamd_socket=/run/c, 10.0.0.1\nmax_size=1000\n[reject]\nvirus=no\n"},
        "clamav",
        {
            "server": ["unix:/run/c", "10.0.0.1:3310"],
            "largest": 1000,
            "too_large": "none",
            "infected": "none",
        },
    ),
    (
        "spamassassin",
        {"spamassassin.ini": "reject_threshold=7\nspamd_user=first-recipient\nmax_size=9\n"},
        "spamassassin",
        {
            "server": "localhost:783",
            "deny": 7.0,
            "largest": 9,
            "too_large": "none",
            "user": "{address}",
        },
    ),
    ("rspamd", {}, "rspamd", {"server": "http://localhost:11333"}),
    (
        "rspamd",
        {"rspamd.ini": "unix_socket=/run/r\n[reject]\nspam=false\n"},
        "rspamd",
        {"server": "unix:/run/r", "reject": "none"},
    ),
    (
        "data.uribl",
        {"uribl.ini": "[a.example]\nbitmask=6\n[b.example]\n", "uribl.excludes": "ok.example\n"},
        "uribl",
        {
            "zones": {"a.example": {"&2": "deny", "&4": "deny"}, "b.example": "deny"},
            "exempt": ["file:uribl.excludes"],
        },
    ),
    (
        "attachment",
        {"attachment.ini": "disallowed_extensions=.EXE,scr\n"},
        "attachments",
        {"more_extensions": ["exe", "scr"]},
    ),
    (
        "limit",
        {
            "limit.ini": "[rate_conn]\nenabled=true\ndefault=5\n"
            "[rate_rcpt_host]\nenabled=true\ndefault=50/5m\n[rate_rcpt]\ndefault=1\n"
            "[rate_rcpt_sender]\nenabled=true\ndefault=0\n"
        },
        "rate_limit",
        {
            "rules": [
                {
                    "name": "rate_conn",
                    "by": ["address"],
                    "rate": "5/60s",
                    "count": "connections",
                },
                {"name": "rate_rcpt_host", "by": ["address"], "rate": "50/5m"},
            ]
        },
    ),
    ("mailauth", {}, "arc", {}),
]


@pytest.mark.parametrize(("name", "files", "use", "options"), CHECKS)
def test_a_check_becomes_a_plugin_with_these_options(tmp_path, name, files, use, options):
    found = import_haraka(tmp_path, {"plugins": name, **files})
    assert found.options(use) == options
    assert ("config/plugins:1", f"{name}: the plugin {use}") in found.report("TAKEN")


def test_a_check_that_rejects_nothing_is_in_shadow_mode(tmp_path):
    files = {"plugins": "early_talker", "early_talker.ini": "reject=false\n"}
    assert import_haraka(tmp_path, files).plugin("early_talker")["action"] == "log"


@pytest.mark.parametrize("name", ["dns-list", "uribl"])
def test_the_default_lists_of_haraka_are_not_read(tmp_path, name):
    found = import_haraka(tmp_path, {"plugins": name})
    assert "the default of Haraka is not read" in found.left("config/plugins:1")[0]


@pytest.mark.parametrize(
    ("name", "files", "place", "part"),
    [
        ("limit", {"limit.ini": "[errors_x]\n"}, "config/plugins:1", "no rate is limited"),
        ("access", {}, "config/plugins:1", "no list refuses anything"),
        ("aliases", {}, "config/plugins:1", "there are no aliases"),
    ],
)
def test_a_plugin_without_an_effect_is_different(tmp_path, name, files, place, part):
    found = import_haraka(tmp_path, {"plugins": name, **files})
    assert any(part in text for text in found.different(place))


@pytest.mark.parametrize(
    ("name", "files", "place", "part"),
    [
        ("helo.checks", {"helo.checks.ini": "[reject]\nrdns_match=1\n"}, "helo.checks.ini", "rdns"),
        ("relay", {"relay.ini": "[relay]\nall=true\n"}, "relay.ini", "an open relay"),
        ("limit", {"limit.ini": "[outbound]\nenabled=1\n"}, "limit.ini", "no equivalent"),
        ("bounce", {"bounce.ini": "[reject]\nall_bounces=1\n"}, "bounce.ini", "no equivalent"),
        ("rspamd", {"rspamd.ini": "[auth]\nbasic_pass=hunter2\n"}, "rspamd.ini", "not copied"),
        ("uribl", {"uribl.ini": "[a.example]\ndqs_key=hunter2\n"}, "uribl.ini", "not copied"),
        ("access", {"mail_from.access.whitelist": "a@b.c"}, "mail_from.access.whitelist", "exempt"),
        ("aliases", {"aliases": "{ not json"}, "aliases", "expected JSON"),
        ("aliases", {"aliases": "[" * 5000}, "aliases", "expected JSON"),
    ],
)
def test_what_has_no_equivalent_is_reported_without_secrets(tmp_path, name, files, place, part):
    found = import_haraka(tmp_path, {"plugins": name, **files})
    assert any(part in text for text in found.left(f"config/{place}"))
    assert "hunter2" not in str(found.report("LEFT"))
    assert "hunter2" not in (found.folder / "gatepost.toml").read_text()


# the server


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", ["0.0.0.0:25", "[::]:25"]),
        ("listen=[::0]:2525", ["0.0.0.0:2525", "[::]:2525"]),
        ("listen=127.0.0.1:25,[::1]:587", ["127.0.0.1:25", "[::1]:587"]),
        ("listen_host=127.0.0.1\nport=2525", ["127.0.0.1:2525"]),
        ("listen=nonsense", ["127.0.0.1:2525"]),
    ],
)
def test_addresses_are_those_of_haraka(tmp_path, text, addresses):
    found = import_haraka(tmp_path, {"smtp.ini": f"{text}\n"})
    assert [one["address"] for one in found.config["listen"]] == addresses


@pytest.mark.parametrize(
    ("name", "text", "table", "keys"),
    [
        ("me", "mx.example.com", "server", {"hostname": "mx.example.com"}),
        ("smtp.ini", "nodes=cpus", "server", {"workers": 0}),
        ("smtp.ini", "nodes=4\nuser=smtp", "server", {"workers": 4, "user": "smtp"}),
        ("smtp.ini", "inactivity_timeout=120", "limits", {"command_timeout": "120s"}),
        ("connection.ini", "[max]\nbytes=1000", "limits", {"message_size": 1000}),
        ("connection.ini", "[headers]\nmax_received=7", "limits", {"hops": 7}),
        ("connection.ini", "strict_rfc1869=true", "smtp", {"strict_paths": True}),
        ("databytes", "1000", "limits", {"message_size": 1000}),
        ("max_received_count", "7", "limits", {"hops": 7}),
        ("log.ini", "level=WARN\nformat=json", "log", {"level": "warning", "format": "json"}),
        ("loglevel", "LOGDEBUG\n", None, None),
        ("loglevel", "debug", "log", {"level": "debug"}),
        ("outbound.ini", "concurrency_max=5", "queue", {"concurrency": 5}),
        ("outbound.ini", "temp_fail_intervals=1m, 5m*2", "queue", {"retry": ["1m", "5m", "5m"]}),
        ("outbound.ini", "temp_fail_intervals=never", None, None),
    ],
)
def test_a_file_becomes_a_key(tmp_path, name, text, table, keys):
    config = import_haraka(tmp_path, {name: f"{text}\n"}).config
    if table is None:
        assert {"log", "queue"} & set(config) == set()
    else:
        assert config[table] == keys


def test_proxies_and_xclient_hosts_are_for_all_listeners(tmp_path):
    files = {
        "plugins": "xclient",
        "connection.ini": "[haproxy]\nhosts[]=192.0.2.4\nhosts[]=[2001:db8::1]\nhosts[]=bad\n",
        "xclient.hosts": "127.0.0.1\n",
    }
    found = import_haraka(tmp_path, files)
    for listen in found.config["listen"]:
        assert listen["proxy_from"] == ["192.0.2.4/32", "2001:db8::1/128"]
        assert listen["xclient_from"] == ["127.0.0.1/32"]
    assert len(found.left("config/connection.ini")) == 1


def test_each_port_has_its_kind_of_tls(tmp_path):
    files = {
        "plugins": "tls\nauth/flat_file",
        "smtp.ini": "listen=127.0.0.1:25,127.0.0.1:465,127.0.0.1:2525\n",
        "tls.ini": "minVersion=TLSv1.2\nno_starttls_ports[]=2525\n",
        "tls_cert.pem": "c",
        "tls_key.pem": "k",
        "auth_flat_file.ini": "[users]\nann=hunter2\n",
    }
    found = import_haraka(tmp_path, files)
    kinds = [(one.get("tls"), one.get("auth")) for one in found.config["listen"]]
    assert kinds == [("starttls", True), ("implicit", True), (None, None)]
    assert found.config["tls"]["minimum"] == "1.2"
    assert "hunter2" not in "".join(path.read_text() for path in found.folder.iterdir())
    (text,) = found.left("config/plugins:2")
    assert text.startswith("auth/flat_file: 1 users in config/auth_flat_file.ini; add each")


# recipients


def test_domains_are_those_of_the_lists(tmp_path):
    files = {
        "plugins": "rcpt_to.in_host_list",
        "host_list": "Example.com\n-bad-\n",
        "host_list_regex": ".*\\.lists\\.example\n(a|b)\\.com\n",
        "host_list.anti_spoof": "true\n",
    }
    found = import_haraka(tmp_path, files)
    assert found.config["recipients"]["domains"] == ["file:host_list", ".lists.example"]
    assert found.entries("host_list") == ["example.com"]
    assert len(found.left("config/host_list_regex:2")) == 1
    assert found.options("sender_domain")["own"] == "deny"


def test_access_lists_become_rules_and_refused_recipients(tmp_path):
    files = {
        "plugins": "access",
        "connect.rdns_access.blacklist": "192.0.2.66\n",
        "mail_from.access.blacklist": "a@b.example\n",
        "mail_from.access.blacklist_regex": ".*@x\\.example\n(?<=x)y\n",
        "rcpt_to.access.blacklist": "old@example.com\n",
        "rcpt_to.access.blacklist_regex": "x.*@example.com\n",
        "access.domains": "evil.example\n!ok.evil.example\nann@aol.example\n",
    }
    found = import_haraka(tmp_path, files)
    assert found.entries("connect.rdns_access.blacklist.rules") == [
        "connect.rdns_access.blacklist client deny /^(?:192\\.0\\.2\\.66)$/"
    ]
    assert len(found.entries("mail_from.access.blacklist_regex.rules")) == 1
    assert found.entries("access.domains.rules") == [
        "access.domains sender deny /[@.]evil\\.example$/",
        "access.domains sender deny /^(?:ann@aol\\.example)$/",
    ]
    assert found.entries("rcpt_to.access.blacklist") == ["old@example.com class=recycled"]
    assert found.entries("rcpt_to.access.blacklist_regex") == [
        "/^(?:x.*@example.com)$/ class=recycled"
    ]
    assert len(found.config["traps"]["lists"]) == 2


def test_an_access_check_that_is_off_is_not_taken_over(tmp_path):
    files = {
        "plugins": "access",
        "access.ini": "[check]\nmail=false\nrcpt=false\nany=false\n",
        "mail_from.access.blacklist": "a@b.example\n",
        "rcpt_to.access.blacklist": "a@b.example\n",
        "access.domains": "evil.example\n",
    }
    found = import_haraka(tmp_path, files)
    assert "plugin" not in found.config
    assert "traps" not in found.config


def test_aliases_become_a_table(tmp_path):
    aliases = {
        "sales@example.com": {"action": "alias", "to": ["a@example.com", "b@example.com"]},
        "Info": {"action": "alias", "to": "ann"},
        "@old.example": {"action": "alias", "to": "all@example.com"},
        "gone": {"action": "drop"},
        "*": {"action": "alias", "to": "x@example.com"},
        "two words": {"action": "alias", "to": "x"},
        "evil": {"action": "alias", "to": "x\nroot: y"},
        "odd": "text",
        "none": {"action": "alias", "to": 5},
    }
    files = {"plugins": "aliases", "aliases.json": json.dumps(aliases)}
    found = import_haraka(tmp_path, files)
    assert found.options("aliases") == {"tables": ["texthash:aliases"]}
    assert found.entries("aliases") == [
        "sales@example.com  a@example.com, b@example.com",
        "info  ann",
        "@old.example  all@example.com",
    ]
    assert len(found.report("LEFT")) >= 6


# delivery and relay


@pytest.mark.parametrize(
    ("plugins", "files", "targets"),
    [
        ("queue/smtp_forward", {}, ["smtp://localhost:25"]),
        (
            "queue/smtp_forward",
            {"smtp_forward.ini": "host=10.2.2.2\nport=26\n[example.com]\nhost=::1\n[tls]\nx=1\n"},
            ["smtp://[::1]:25", "smtp://10.2.2.2:26"],
        ),
        ("queue/smtp_proxy", {"smtp_proxy.ini": "host=h\n"}, ["smtp://h:25"]),
        ("queue/lmtp", {}, ["lmtp://127.0.0.1:24"]),
        (
            "queue/lmtp",
            {"lmtp.ini": "[main]\nhost=h\n[b.example]\npath=/run/lmtp\n"},
            ["lmtp:unix:/run/lmtp", "lmtp://h:24"],
        ),
        ("queue/qmail-queue", {"qmail-queue.path": "/opt/q\n"}, ["qmail-queue:/opt/q"]),
        ("queue/qmail-queue", {}, ["qmail-queue:/var/qmail/bin/qmail-queue"]),
        ("queue/discard", {}, ["discard:"]),
        ("queue/test", {}, ["file:var/mail"]),
        ("", {}, ["maildir:var/mail/{domain}/{local}"]),
        (
            "queue/smtp_forward",
            {"smtp_forward.ini": "host=a b\n"},
            ["maildir:var/mail/{domain}/{local}"],
        ),
    ],
)
def test_a_queue_plugin_becomes_routes(tmp_path, plugins, files, targets):
    found = import_haraka(tmp_path, {"plugins": plugins, **files})
    assert [one["to"] for one in found.config["route"]] == targets


def test_tls_to_the_next_hop_is_off_by_default_as_in_haraka(tmp_path):
    files = {"smtp_forward.ini": "host=h\n[a.example]\nhost=i\nenable_tls=true\n"}
    found = import_haraka(tmp_path, {"plugins": "queue/smtp_forward", **files})
    assert [one.get("client") for one in found.config["route"]] == [None, {"tls": "none"}]


def test_a_password_for_the_next_hop_is_not_copied(tmp_path):
    files = {"smtp_forward.ini": "host=h\nauth_user=ann\nauth_pass=hunter2\n"}
    found = import_haraka(tmp_path, {"plugins": "queue/smtp_forward", **files})
    assert len(found.left("config/smtp_forward.ini")) == 1
    assert "hunter2" not in (found.folder / "gatepost.toml").read_text()


RELAY = {
    "plugins": "relay\nrcpt_to.in_host_list\nqueue/smtp_forward",
    "relay_acl_allow": "192.0.2.0/24 # office\n10.0.0.1\nbad\n",
    **HOSTS,
}


def test_mail_of_relaying_clients_goes_to_mx_by_the_queue(tmp_path):
    found = import_haraka(tmp_path, RELAY)
    own, others = found.config["route"]
    assert own["for"] == ["example.com"]
    assert others == {
        "for": ["*"],
        "to": "mx:",
        "mode": "queue",
        "relay_for": ["192.0.2.0/24", "10.0.0.1/32"],
    }
    assert len(found.left("config/relay_acl_allow:3")) == 1


def test_relaying_is_left_out_if_the_domains_cannot_be_listed(tmp_path):
    hosts = "".join(f"d{number}.example\n" for number in range(MOST_DOMAINS + 1))
    found = import_haraka(tmp_path, RELAY | {"host_list": hosts})
    assert [one["for"] for one in found.config["route"]] == [["*"]]
    assert "relay_for" not in found.config["route"][0]
    assert len(found.left("route")) == 1


def test_next_hops_of_single_domains_become_routes(tmp_path):
    domains = (
        '[domains]\na.example = { "action": "continue", "nexthop": "127.0.0.1:26" }\n'
        'b.example = { "action": "accept" }\nc.example = {"nexthop": "x; y"}\n'
    )
    found = import_haraka(tmp_path, RELAY | {"relay_dest_domains.ini": domains})
    route = found.config["route"][0]
    assert (route["for"], route["to"]) == (["a.example"], "smtp://127.0.0.1:26")
    assert route["relay_for"] == ["192.0.2.0/24", "10.0.0.1/32"]
    assert "b.example" in found.config["recipients"]["domains"]
    assert found.left("config/relay_dest_domains.ini") == ["c.example: expected a host and a port"]


def test_dkim_keys_stay_where_they_are(tmp_path):
    files = {
        "plugins": "dkim",
        "dkim.ini": "[sign]\nenabled=true\nselector=s1\ndomain=example.org\n",
        "dkim.private.key": "secret key",
        "dkim/example.com/private": "secret key",
        "dkim/example.com/selector": "s2\n",
    }
    found = import_haraka(tmp_path, files)
    keys = found.options("dkim_sign")["keys"]
    assert [(one["domains"], one["selector"]) for one in keys] == [
        (["example.com"], "s2"),
        (["example.org"], "s1"),
    ]
    assert "secret key" not in (found.folder / "gatepost.toml").read_text()


def test_keys_do_not_sign_if_signing_is_off(tmp_path):
    files = {"plugins": "dkim", "dkim/a.example/private": "k", "dkim/a.example/selector": "s"}
    found = import_haraka(tmp_path, {**files, "dkim.ini": "[sign]\nenabled=false\n"})
    assert [one["use"] for one in found.config["plugin"]] == ["dkim"]


@pytest.mark.parametrize("path", ["vip.js", "vip/index.js"])
def test_a_plugin_of_ones_own_is_reported_with_its_hooks(tmp_path, path):
    code = "exports.hook_rcpt = () => {}\nthis.register_hook('data_post', 'x')\n"
    found = import_haraka(tmp_path, {"plugins": "vip", f"/plugins/{path}": code})
    assert found.left("config/plugins:1") == [
        "vip: a plugin of your own; its hooks, and those here: rcpt: on_rcpt, data_post: on_message"
    ]


def test_domains_of_a_forwarding_plugin_that_decides_about_recipients(tmp_path):
    forward = "host=h\ncheck_recipient=true\n[a.example]\nhost=i\n[ann@b.example]\nhost=j\n"
    files = {"plugins": "queue/smtp_forward", "smtp_forward.ini": forward}
    found = import_haraka(tmp_path, files)
    assert found.config["recipients"]["domains"] == ["a.example"]
    assert [one["for"] for one in found.config["route"]] == [
        ["a.example"],
        ["ann@b.example"],
        ["*"],
    ]


def test_outgoing_mail_without_tls_stays_without(tmp_path):
    files = RELAY | {"outbound.ini": "enable_tls=false\ndisabled=true\n"}
    found = import_haraka(tmp_path, files)
    assert found.config["route"][-1]["client"] == {"tls": "none"}
    assert len(found.different("config/outbound.ini")) == 1


def test_files_of_older_versions_are_read(tmp_path):
    files = {"haproxy_hosts": "192.0.2.4\n", "smtpgreeting": "hello\n"}
    found = import_haraka(tmp_path, files)
    assert found.config["listen"][0]["proxy_from"] == ["192.0.2.4/32"]
    assert len(found.different("config/smtpgreeting")) == 1
