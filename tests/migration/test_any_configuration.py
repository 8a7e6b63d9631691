"""The new configuration is valid for any folder, whatever its files have."""

import tomllib

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.docs.test_equivalents import QPSMTPD
from tests.migration.made import NOWHERE, write_files

from gatepost.config.load import load_config
from gatepost.importers.equivalents import equivalents
from gatepost.migration.folder import write
from gatepost.migration.haraka import reading as haraka
from gatepost.migration.qpsmtpd import reading as qpsmtpd
from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place

WORDS = st.sampled_from(
    "reject 0 1 naughty reject_type soft wait 9999999999 -1 policy strict black_timeout 5x file"  # noqa: SIM905 - short
    " domain rcpthosts example.com action spamd_socket clamd_port /run/x host:99999 require ,"
    " past é [::1]".split()
)
TEXTS = st.one_of(
    WORDS,
    st.text(max_size=12).filter(lambda text: "\0" not in text),
    st.sampled_from(["a@example.com", "@example.com", ".example.com", "10.", "::/0", "0.0.0.0/0"]),
    st.sampled_from(["/x/", "(?=x)", "zen.example:text", "multi.example 2,8 deny", "x" * 300]),
)
FILE = st.lists(TEXTS, max_size=5).map("\n".join)
NAMES = sorted({row.name for row in equivalents() if row.server == "Haraka"})
QPSMTPD_FILES = (
    *("me", "databytes", "timeout", "loglevel", "logging", "rcpthosts", "relayclients", "badhelo"),
    *("verybadrcptto", "badrcptto", "badmailfrom", "dnsbl_zones", "dnsbl_allow", "rhsbl_zones"),
    *("uribl_zones", "whitelist_zones", "whitelisthosts", "norelayclients", "flat_auth_pw"),
)
LINES = st.lists(
    st.tuples(st.sampled_from(QPSMTPD), st.lists(WORDS, max_size=4)).map(
        lambda pair: " ".join([pair[0], *pair[1]])
    ),
    max_size=8,
)
KEYS = st.sampled_from(
    "listen nodes user host port zones zones[] default enabled max bytes selector domain path"  # noqa: SIM905 - short
    " clamd_socket spamd_socket bitmask pause temp_fail_intervals enable_tls required black"
    " mfrom_fail type action".split()
)
INI = st.lists(
    st.one_of(
        st.tuples(KEYS, TEXTS).map("=".join),
        st.sampled_from(["[reject]", "[deny]", "[sign]", "[a.example]", "[rate_conn]", "[check]"]),
        st.sampled_from(["[domains]", "[haproxy]", "[max]", "[-bad-]", "[a b.c]", "enabled=true"]),
        TEXTS,
    ),
    max_size=8,
).map("\n".join)
HARAKA_FILES = (
    *("smtp.ini", "connection.ini", "outbound.ini", "log.ini", "dns-list.ini", "tls.ini"),
    *("smtp_forward.ini", "lmtp.ini", "limit.ini", "uribl.ini", "clamd.ini", "rspamd.ini"),
    *("spamassassin.ini", "headers.ini", "dkim.ini", "greylist.ini", "relay_dest_domains.ini"),
)
HARAKA_LISTS = (
    *("me", "host_list", "host_list_regex", "relay_acl_allow", "xclient.hosts", "aliases"),
    *("access.domains", "mail_from.access.blacklist_regex", "rcpt_to.access.blacklist"),
    *("bounce_bad_rcpt", "uribl.excludes", "dnsbl.zones", "dnswl.zones"),
)
# Without the phase that looks for a smaller example, because each takes a folder.
LONG = settings(max_examples=40, deadline=None, phases=[Phase.reuse, Phase.generate])


def check(job, folder):
    """Write the folder, and read it as the server does."""
    write(job.draft, folder, "Made by a test.")
    file = folder / "gatepost.toml"
    assert tomllib.loads(file.read_text())
    load_config(file)
    for table in job.draft.plugins:
        options = tomllib.loads(file.read_text())["plugin"]
        given = next(one for one in options if one["use"] == table.keys["use"])
        load_plugin(given["use"], given.get("options", {}), Place(folder))


@LONG
@given(LINES, st.dictionaries(st.sampled_from(QPSMTPD_FILES), FILE))
def test_any_configuration_of_qpsmtpd_becomes_a_valid_one(tmp_path_factory, lines, files):
    root = tmp_path_factory.mktemp("any")
    named = {f"config/{name}": text for name, text in files.items()}
    write_files(root / "theirs", {"config/plugins": "\n".join(lines), **named})
    check(qpsmtpd.read(root / "theirs", NOWHERE), root / "mail")


@LONG
@given(
    st.lists(st.sampled_from(NAMES), max_size=8),
    st.dictionaries(st.sampled_from(HARAKA_FILES), INI),
    st.dictionaries(st.sampled_from(HARAKA_LISTS), FILE),
)
def test_any_configuration_of_haraka_becomes_a_valid_one(tmp_path_factory, names, inis, lists):
    root = tmp_path_factory.mktemp("any")
    named = {f"config/{name}": text for name, text in (inis | lists).items()}
    write_files(root / "theirs", {"config/plugins": "\n".join(names), **named})
    check(haraka.read(root / "theirs"), root / "mail")
