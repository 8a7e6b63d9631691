"""Aliases, virtual addresses and catch-alls from tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.plugins.envelopes import HELLO, message_of
from tests.plugins.envelopes import sent as deliver
from tests.plugins.scanners import installed

from gatepost import Address, Plugin, accept
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins._aliases import (
    AliasError,
    AliasKeys,
    Expansion,
    Found,
    Limits,
    split_targets,
)
from gatepost.plugins.aliases import PASSES, Aliases
from gatepost.testing import MemoryTable, play

ANN = "ann@example.com"
CONFIG = {
    "recipients": {"domains": ["example.com"], "known": ["ann@example.com", "bob@example.com"]},
    "route": [{"for": ["*"], "to": "discard:"}],
}


def sent(rows, to, reply="250", *, fields="", plugins=(), **options):
    """Send a message to an address; return what was played."""
    table = rows if isinstance(rows, MemoryTable) else MemoryTable(rows)
    shadow = options.pop("shadow", False)
    more = {name: options.pop(name) for name in ("traps", "config", "tables") if name in options}
    plugin = Aliases(tables=["memory:a"], **options)
    transcript = f"""
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a@client.example>
        S: 250
        C: RCPT TO:<{to}>
        S: {reply}
    """
    if reply == "250":
        transcript += f"C: DATA\nS: 354\n{fields}C: Subject: x\nC:\nC: text\nC: .\nS: 250\n"
    tables = {"memory:a": table} | more.pop("tables", {})
    return play(
        transcript,
        [*plugins, installed(plugin, shadow=shadow)],
        tables=tables,
        **{"config": CONFIG} | more,
    )


def recipients(*args, **options):
    [message] = sent(*args, **options).messages
    return message.recipients


@pytest.mark.parametrize(
    ("rows", "to", "expected"),
    [
        ({"team@example.com": "ann, bob@elsewhere.example"}, "Team@Example.COM", 2),
        ({"team+a@example.com": "ann", "team@example.com": "bob"}, "team+a@example.com", "ann"),
        ({"team@example.com": "bob", "team": "ann"}, "team@example.com", "bob"),
        ({"team": "ann@elsewhere.example", "@example.com": "bob"}, "team@example.com", 1),
        ({"@example.com": "bob@example.com"}, "any@example.com", "bob"),
        ({"sales@virtual.example": "bob@example.com"}, "sales@virtual.example", "bob"),
        ({"@virtual.example": "@example.com"}, "ann@virtual.example", "ann"),
        ({"one@example.com": "two", "two@example.com": "ann"}, "one@example.com", "ann"),
        ({"ann@example.com": "ann, bob"}, "ann@example.com", 2),
        ({"team@example.com": "\\ann", "ann@example.com": "bob"}, "team@example.com", "ann"),
        ({"team@example.com": ""}, "team@example.com", "team"),
        (
            {"ab@example.com": "c, d", "c@example.com": "ann", "d@example.com": "ann"},
            "ab@example.com",
            "ann",
        ),
    ],
)
def test_a_recipient_is_replaced_by_the_members_of_the_first_entry(rows, to, expected):
    found = recipients(rows, to)
    if isinstance(expected, str):
        assert found == [f"{expected}@example.com"]
    else:
        assert len(found) == expected


def test_a_bare_name_is_for_local_domains_only():
    """The alias of a user is none in a domain that is virtual."""
    rows = {"@virtual.example": "bob@example.com", "root": "ann"}
    assert recipients(rows, "root@virtual.example") == ["bob@example.com"]
    sent(rows, "root@elsewhere.example", "550 5.7.1 Relaying denied*")


@pytest.mark.parametrize(
    ("member", "options", "expected"),
    [
        ("ann", {}, "ann+news@example.com"),
        ("ann", {"keep_tag": False}, "ann@example.com"),
        ("ann+x", {}, "ann+x@example.com"),
    ],
)
def test_a_member_gets_the_subaddress(member, options, expected):
    assert recipients({"team@example.com": member}, "team+News@example.com", **options) == [
        expected
    ]


def test_a_catch_all_is_not_for_mailboxes_and_traps():
    rows, users = {"@example.com": "ann@example.com"}, MemoryTable({"dora@example.com": "x"})
    options = {"mailboxes": ["memory:users"], "tables": {"memory:users": users}}
    assert recipients(rows, "bob+x@example.com", **options) == ["bob+x@example.com"]
    assert recipients(rows | {"dora": "bob"}, "dora@example.com", **options) == ["bob@example.com"]
    assert recipients(rows, "carl@example.com", **options) == ["ann@example.com"]
    assert recipients(rows | {"team@example.com": "dora"}, "team@example.com", **options) == [
        "dora@example.com"
    ]
    assert recipients({"bob": "ann"}, "bob@example.com", **options) == ["ann@example.com"]
    sent(
        rows,
        "trap@example.com",
        "550 5.1.1 No such mailbox*",
        traps=["trap@example.com class=typo"],
    )


def test_traps_are_what_the_client_names():
    """An alias is no way around a trap, and a member that is a trap is none."""
    traps = ["trap@example.com", "member@example.com"]
    trap = "250\nC: DATA\nS: 554 5.7.1 Message refused by local policy*"
    sent({"trap@example.com": "ann"}, "trap@example.com", trap, traps=traps)
    found = recipients({"team@example.com": "member"}, "team@example.com", traps=traps)
    assert found == ["member@example.com"]


def test_the_configuration_comes_before_the_tables():
    rows = {"team@example.com": "ann", "ops@example.com": "ann", "all@example.com": "ann"}
    own = {
        "team": ("bob",),
        "ops@example.com": ("bob", "ann"),
        "@virtual.example": ("bob@example.com",),
    }
    assert recipients(rows, "team@example.com", aliases=own) == ["ann@example.com"]
    assert len(recipients(rows, "ops@example.com", aliases=own)) == 2
    assert recipients(rows, "x@virtual.example", aliases=own) == ["bob@example.com"]


@pytest.mark.parametrize(
    ("value", "members", "problem"),
    [
        ('ann, "|/usr/bin/vacation ann"', ["ann@example.com"], "a program"),
        ("ann, |prog", ["ann@example.com"], "a program"),
        ("/var/mail/team, ann", ["ann@example.com"], "a file"),
        (":include:/etc/team, ann", ["ann@example.com"], "a list in a file"),
        ("ann, @@", ["ann@example.com"], "expected local-part@domain"),
        ('ann "open', ["ann@example.com"], "expected local-part@domain"),
    ],
)
def test_members_that_are_no_addresses_are_left_out_and_logged_once(value, members, problem):
    plugin_rows = {"team@example.com": value}
    with capture_logs() as logs:
        assert recipients(plugin_rows, "team@example.com") == members
    [line] = [line for line in logs if line["event"] == "member of alias not used"]
    assert problem in line["problem"]


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ({"team@example.com": "|prog"}, {}, "alias-empty"),
        ({"team@example.com": "a", "a@example.com": "team"}, {}, "alias-empty"),
        ({"team@example.com": "a", "a@example.com": "b"}, {"depth": 2}, None),
        ({"team@example.com": "a", "a@example.com": "b"}, {"depth": 1}, "alias-depth"),
        ({"team@example.com": "a b c"}, {"most": 2}, "alias-size"),
        ({"team@example.com": "a b", "a@example.com": "c d"}, {"most": 2}, "alias-size"),
        ({"team@example.com": "müller@example.com"}, {}, "alias-member"),
    ],
)
def test_an_alias_that_cannot_be_expanded_is_deferred(rows, options, reason):
    reply = "250" if reason is None else "451 4.3.5 Alias cannot be expanded*"
    played = sent(rows, "team@example.com", reply, **options)
    assert [one.reason for one in played.decisions if one.hook == "rcpt"] == (
        [reason] if reason else []
    )


@pytest.mark.parametrize("known", [True, False])
def test_an_outage_of_the_table_defers(known):
    table = MemoryTable({})
    table.failure = "no answer"
    to = "ann@example.com" if known else "unknown@example.com"
    sent(table, to, "451 4.3.0 Temporary local problem*")


def test_in_shadow_mode_the_recipient_stays():
    rows = {"ann@example.com": "bob"}
    assert recipients(rows, "ann@example.com", shadow=True) == ["ann@example.com"]


@pytest.mark.parametrize(
    ("passes", "reply"), [(PASSES - 1, "250"), (PASSES, "554 5.4.6 Mail loops*")]
)
def test_a_message_that_comes_back_again_and_again_is_refused(passes, reply):
    trace = "Received: from x ([192.0.2.1]) by localhost (Gatepost) with SMTP id 1; x\n" * passes
    tables = {
        "memory:a": MemoryTable({"team@example.com": "a@elsewhere.example b@elsewhere.example"})
    }
    config = CONFIG | {"server": {"hostname": "localhost"}}
    plugin, to = Aliases(tables=["memory:a"]), ["team@example.com"]
    deliver(plugin, to=to, fields=f"{trace}Subject: x", reply=reply, tables=tables, config=config)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "expected tables or aliases"),
        ({"tables": ["x:y"], "depth": 0}, "depth: expected 1 to 100"),
        ({"aliases": {"a b@x": ("c",)}}, "expected local-part@domain"),
        ({"aliases": {"a": ("b c",)}}, "expected local-part@domain"),
        ({"aliases": {"a": ("|/bin/prog",)}}, "'|/bin/prog' is a program"),
    ],
)
def test_wrong_options_are_errors(options, problem):
    with pytest.raises(OptionsError, match=problem):
        Aliases(**options)


def test_the_files_of_other_mail_servers_are_tables(tmp_path):
    (tmp_path / "aliases").write_text("postmaster: root\nroot: ann,\n  bob\nold: |/bin/prog, ann\n")
    (tmp_path / "virtual").write_text(
        "info@virtual.example ann@example.com\n@virtual.example root\n"
    )
    specs = [f"aliases:{tmp_path}/aliases", f"texthash:{tmp_path}/virtual"]
    plugin = Aliases(tables=specs)
    assert message_of(plugin, to=["root@example.com"]).recipients == [ANN, "bob@example.com"]
    assert message_of(plugin, to=["old@example.com"]).recipients == [ANN]
    assert message_of(plugin, to=["info@virtual.example"]).recipients == [ANN]
    found = message_of(plugin, to=["any@virtual.example"]).recipients
    assert found == ["root@virtual.example"]  # a name stands for a user of the same domain


def test_an_alias_file_is_for_local_domains_only(tmp_path):
    """Otherwise this server would relay for every domain."""
    (tmp_path / "aliases").write_text("root: ann\n")
    plugin = Aliases(
        tables=[f"aliases:{tmp_path}/aliases"], mailboxes=[f"aliases:{tmp_path}/aliases"]
    )
    for to in ("root@elsewhere.example", '"root@example.com"@elsewhere.example'):
        played = play_one(plugin, to)
        assert "Relaying denied" in played.replies[-1]
    assert "the local part names" in play_one(plugin, '"root@example.com"@example.com').replies[-1]


def play_one(plugin, to):
    mail = "C: MAIL FROM:<a@client.example>\nS: 250\n"
    return play(f"{HELLO}{mail}C: RCPT TO:<{to}>\nS: 550", [plugin], config=CONFIG)


class Accept(Plugin):
    def on_rcpt(self, tx, rcpt):
        return accept()


@pytest.mark.parametrize(
    ("to", "before"), [("postmaster@example.com", ()), ("team@example.com", (Accept(),))]
)
def test_a_recipient_that_was_accepted_before_is_replaced_too(to, before):
    """The core accepts postmaster, and a plugin in front can accept any recipient."""
    rows = {"postmaster": "ann, bob", "team": "ann, bob"}
    assert recipients(rows, to, plugins=before) == [ANN, "bob@example.com"]
    assert recipients({"x": "ann", "team": ""}, to, plugins=before) == [to]
    data = "250\nC: DATA\nS: 451 4.3.0 Temporary local problem*"
    sent({"postmaster": "|x", "team": "|x"}, to, data, plugins=before)


# The expansion of any tables

NAMES = st.sampled_from("abcde")
MEMBERS = st.lists(
    st.one_of(
        NAMES,
        NAMES.map("{}@d".format),
        NAMES.map("{}@e".format),
        st.sampled_from(["@d", "@e", "|x", "\\a", "a+t"]),
    ),
    max_size=4,
)
KEYS = st.one_of(NAMES.map("{}@d".format), NAMES.map("{}@e".format), st.sampled_from(["@d", "@e"]))


def keys_of(address):
    user, _, domain = address.key.rpartition("@")
    name, plus, tag = user.partition("+")
    if not plus:
        return AliasKeys((f"{user}@{domain}", f"@{domain}"))
    return AliasKeys(
        (address.key, f"{name}@{domain}", f"@{domain}"), plus + tag, (f"{name}@{domain}",)
    )


@given(st.dictionaries(KEYS, MEMBERS.map(", ".join)), st.sampled_from(["a@d", "a+x@d", "b@e"]))
def test_every_expansion_ends(rows, start):
    limits = Limits(depth=6, most=12)
    expansion = Expansion(Address.parse(start), keys_of, limits)
    steps = 0
    try:
        while not expansion.is_done:
            steps += 1
            expansion.advance(Found({key: rows[key] for key in expansion.keys if key in rows}))
    except AliasError:
        assert steps
    assert steps <= limits.depth + 1
    targets = [one.key for one in expansion.targets]
    assert len(set(targets)) == len(targets) <= limits.most + len(expansion.problems) + 144


@given(st.text(alphabet='ab,"\\ |\n', max_size=40))
def test_any_value_is_split(value):
    found = list(split_targets(value))
    assert all(found)
    assert sum(map(len, found)) <= len(value)


def test_a_value_with_many_quotes_is_split_in_linear_time():
    assert len(list(split_targets('"' * 1_000_001))) == 1
