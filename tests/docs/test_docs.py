"""The pages in docs/ are true: samples, code, commands, replies, generated parts."""

import importlib.util
import inspect
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import get_args

import click
import pytest
from tests.docs.pages import NAMES, ROOT, blocks, page, rows, section
from tools import reference

from gatepost import config_from_dict
from gatepost.cli.commands import gatepost
from gatepost.config import kinds
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config, LimitsConfig, TrapsConfig
from gatepost.delivery import content
from gatepost.delivery.maildir import maildir
from gatepost.ledger.records import Answer as LedgerAnswer
from gatepost.ledger.records import Client, PluginResult, RecipientRecord, Result, Transaction, Trap
from gatepost.lists.addresses import AddressList
from gatepost.log.struct_log import fields_of
from gatepost.model.address import Address, local_key, without_tag
from gatepost.model.decision import Verdict
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient
from gatepost.net.resolver import Resolver
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.chain import ON_ERROR, Answer
from gatepost.plugin.contract import problems
from gatepost.plugin.hooks import HOOKS, NOTIFICATIONS, reply_for
from gatepost.plugin.host import PluginHost
from gatepost.plugin.loader import PluginOptionsError, load_plugin
from gatepost.plugin.options.kinds import READERS
from gatepost.plugin.place import Place
from gatepost.session import answers as core
from gatepost.session import replies as session_replies
from gatepost.session.log_line import line_of
from gatepost.session.steps import offer
from gatepost.testing import play
from gatepost.wire import lmtp
from gatepost.wire.smtp import replies as wire_replies
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS, PARAMETERS

SOURCE = ROOT / "src" / "gatepost"
LOGGED = re.compile(r'log(?:\(\))?\.(?:debug|info|warning|error|exception)\(\s*"([^"]+)"')


# generated parts


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_the_generated_parts_are_up_to_date(path):
    text = path.read_text("utf-8")
    hint = f"{path} is out of date: run .venv/bin/python tools/reference.py"
    assert reference.renewed(text) == text, hint


def test_every_generated_part_is_used():
    used = [name for path in reference.pages() for name in _parts(path)]
    assert sorted(used) == sorted(reference.PARTS)


def _parts(path):
    return re.findall(r"<!-- generated: (?!end)(\w+) -->", path.read_text("utf-8"))


def test_an_outdated_part_is_noticed():
    page = "before\n<!-- generated: hook_modes -->\noutdated\n<!-- generated: end -->\nafter\n"
    renewed = reference.renewed(page)
    assert renewed.startswith("before\n")
    assert renewed.endswith("after\n")
    assert "outdated" not in renewed
    assert "`early_talker`" in renewed


# configuration


TOML = [
    (name, text) for name in NAMES for text in re.findall(r"(?ms)^```toml\n(.*?)^```$", page(name))
]


@pytest.mark.parametrize(("name", "sample"), TOML)
def test_every_configuration_sample_is_valid(name, sample):
    assert config_from_dict(tomllib.loads(sample))


def test_the_complete_sample_has_every_key():
    sample = tomllib.loads(blocks("configuration", "toml")[0])
    for field, key in kinds.keys(Config):
        found = sample[field.encode_name]
        kind = key.kind
        if isinstance(kind, kinds.MappingKind):
            found, kind = list(found.values()), kinds.ArrayKind(kind.of)
        tables = found if isinstance(kind, kinds.ArrayKind) else [found]
        struct = kind.of.struct if isinstance(kind, kinds.ArrayKind) else kind.struct
        written = {name for one in tables for name in one}
        assert written == {one.encode_name for one, _ in kinds.keys(struct)}


def test_the_limits_of_the_sample_are_the_defaults():
    sample = tomllib.loads(blocks("configuration", "toml")[0])
    assert config_from_dict({"limits": sample["limits"]}).limits == LimitsConfig()
    assert config_from_dict({"traps": sample["traps"] | {"lists": []}}).traps == TrapsConfig()


def test_the_error_messages_are_those_of_the_server():
    shown = blocks("configuration", "text")[0].splitlines()
    bad = {"limits": {"recipient": 1}, "traps": {"delay": "2h"}}
    with pytest.raises(ConfigError) as caught:
        config_from_dict(bad, source="gatepost.toml")
    assert shown == [f"gatepost: {problem}" for problem in caught.value.problems]


# plugins


@pytest.fixture
def plugin_files(tmp_path, monkeypatch):
    """The Python blocks of the page, as the files their first lines name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    for block in blocks("plugins", "python"):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name, f"a block does not begin with the name of its file: {block[:60]}"
        assert not (tmp_path / name[1]).exists()
        (tmp_path / name[1]).write_text(block)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and _is_in(sys.modules[name], tmp_path):
            del sys.modules[name]


def _is_in(module, folder):
    return Path(module.__file__).parent == folder


def test_every_plugin_of_the_page_can_be_loaded(plugin_files):
    paths = [path for path in plugin_files.glob("*.py") if not path.name.startswith("test_")]
    installed = [
        Installed(load_plugin(path.name, {}, Place(plugin_files))) for path in sorted(paths)
    ]
    host = PluginHost(installed)
    assert len(installed) == len(paths) >= 5
    assert [one.plugin.name for one in host.installed][-1] == "last_word"


def test_every_test_of_the_page_passes(plugin_files):
    ran = 0
    for path in sorted(plugin_files.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in [one for one in vars(module) if one.startswith("test_")]:
            getattr(module, name)()
            ran += 1
    assert ran == 14


def test_the_errors_of_options_are_those_of_the_loader(plugin_files):
    place = Place(plugin_files, source="gatepost.toml: delay_networks", key="plugin[1].options")
    with pytest.raises(PluginOptionsError) as caught:
        load_plugin("delay_networks.py", {"dealy": "5s", "delay": "soon"}, place)
    shown = blocks("plugins", "text")[0].splitlines()
    assert shown == [f"gatepost: {problem}" for problem in caught.value.problems]


def test_every_kind_of_option_is_described():
    described = " ".join(row[0] for row in rows(section("plugins", "Options")))
    assert [one.__name__ for one in READERS if f"`{one.__name__}`" not in described] == []


def test_every_method_of_the_resolver_is_described():
    described = " ".join(row[0] for row in rows(section("plugins", "DNS")))
    methods = [name for name, one in vars(Resolver).items() if inspect.iscoroutinefunction(one)]
    assert len(methods) == 7
    assert [name for name in methods if f"`{name}(" not in described] == []


def test_every_hook_and_notification_is_described():
    text = section("plugins", "Hooks")
    described = "".join(re.findall(r"^- (.*?) \u2013 ", text, re.MULTILINE))
    assert [name for name in HOOKS if f"`{name}`" not in described] == []
    prose = text.rpartition("<!-- generated: end -->")[2]
    assert [
        name for name in NOTIFICATIONS if f"`{name}`" not in prose and name != "disconnect"
    ] == []


def test_every_hook_has_a_counterpart_in_the_table():
    table = section("plugins", "Coming from qpsmtpd")
    targets = " ".join(row[1] + row[0] for row in rows(table))
    names = {name for name in HOOKS if f"`{name}`" in targets}
    assert names == set(HOOKS)
    assert all(f"`on_{name}`" in targets for name in NOTIFICATIONS)


def test_the_errors_of_misspelt_hooks_are_those_of_the_check():
    methods = {
        "on_rcptt": lambda _self, _tx, _rcpt: None,
        "hook_rcpt": lambda _self, _tx: None,
        "on_rcpt": lambda self, rcpt: None,
        "on_error": lambda _self: None,
    }
    shown = [row[1].strip("`") for row in rows(section("plugins", "Checks at start"))]
    made = [type("Mine", (Plugin,), {name: method})() for name, method in methods.items()]
    assert shown == [problem.text for one in made for problem in problems(one)]


def test_the_reply_after_a_failure_is_listed():
    table = {row[0].split()[0]: row[1] for row in rows(section("plugins", "When a plugin fails"))}
    assert set(table) == {f'`"{name}"`' for name in ON_ERROR}
    for name, decision in ON_ERROR.items():
        if decision is not None:
            assert table[f'`"{name}"`'] == f"`{reply_for('rcpt', decision)}`"


# traps


def trap_list():
    return blocks("traps", "traps")[0].splitlines()


def test_the_sample_list_has_four_entries_and_no_errors():
    traps = AddressList.from_lines(trap_list(), "traps")
    assert (len(traps), traps.errors) == (4, [])
    assert traps.find("trap@example.com", "trap@example.com").note == "contact page"


@pytest.mark.parametrize("dialogue", blocks("traps", "smtp"))
def test_the_dialogues_with_traps_are_correct(dialogue):
    play(dialogue, traps=trap_list())


def test_the_refusal_is_delayed():
    assert play(blocks("traps", "smtp")[0], traps=trap_list()).slept == [1.0]


def test_a_single_trap_that_is_answered_as_unknown_has_no_delay():
    config = config_from_dict(
        {
            "recipients": {"domains": ["example.com"], "known": ["a@example.com"]},
            "traps": {"rcpt": "as-unknown"},
        }
    )
    played = play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<>
        C: RCPT TO:<trap@example.com>
        C: DATA
        S: 250
        S: 550
        S: 554 5.5.1 No valid recipients
        """,
        traps=trap_list(),
        config=config,
    )
    assert played.slept == []


# protocol


def written_replies(heading):
    """The replies of a table, each with whether it closes."""
    table = rows(section("protocol", heading))
    return sorted((re.match(r"`(.*)`", row[0])[1], row[1] == "yes") for row in table)


def constants(module):
    return [one for one in vars(module).values() if isinstance(one, Reply)]


def shown(replies):
    return sorted((str(one), one.close) for one in replies)


def test_every_reply_of_the_protocol_is_listed():
    assert isinstance(wire_replies.START_MAIL_INPUT, Reply)
    faults = [one for one in constants(wire_replies) if one.code >= 400]
    assert written_replies("Faults of the protocol") == shown(faults)


def test_every_reply_of_lmtp_is_listed():
    assert written_replies("Faults of LMTP") == shown(
        [lmtp.LHLO_ONLY, lmtp.LHLO_FIRST, lmtp.NO_RECIPIENTS]
    )


def test_every_reply_to_a_command_is_listed():
    answers = [*constants(session_replies), wire_replies.START_MAIL_INPUT]
    assert written_replies("Answers to commands") == shown(answers)


# The hooks at which the core's rules answer.
RULES = {
    "TOO_BIG": "mail",
    "TOO_MANY_RECIPIENTS": "rcpt",
    "TOO_MANY_MESSAGES": "mail",
    "BAD_CREDENTIALS": "auth",
    "TOO_MANY_ATTEMPTS": "auth",
    "BUSY": "auth",
    "RELAY_DENIED": "rcpt",
    "ROUTE_DENIED": "rcpt",
    "DSN_NOT_OFFERED": "rcpt",
    "SUCCESS_DSN_DENIED": "rcpt",
    "UNKNOWN_RECIPIENT": "rcpt",
    "LOOKUP_FAILED": "rcpt",
    "TRAP_RECIPIENT": "rcpt",
    "NO_ROUTE": "rcpt",
    "STORAGE": "message",
    "HEADER_TOO_LONG": "headers",
    "TOO_MANY_HOPS": "message",
    "MAIL_LOOP": "message",
}


def answers():
    return {name: one for name, one in vars(core).items() if isinstance(one, Answer)}


def test_every_rule_of_the_core_is_listed():
    refusals = {
        name: one.decision
        for name, one in answers().items()
        if one.decision.verdict is not Verdict.ACCEPT
    }
    assert set(refusals) == set(RULES)
    found = [reply_for(RULES[name], decision) for name, decision in refusals.items()]
    assert written_replies("Rules of the core") == shown([*found, TrapsConfig().reply])


def test_the_reply_to_a_message_that_cannot_be_stored_is_listed():
    text = " ".join(section("protocol", "Answers to commands").split())
    assert f"`451 4.3.0 {content.NOT_STORED}`" in text


def test_every_state_is_explained():
    explained = [row[0] for row in rows(section("protocol", "Order")) if row[0].isupper()]
    assert explained[-len(State) :] == [state.name for state in State]


def test_every_extension_is_explained():
    explained = [row[0] for row in rows(section("protocol", "Extensions"))]
    assert explained == [word.split()[0] for word in offer.keywords(LimitsConfig())]


def test_the_parameters_that_are_not_offered_are_listed():
    text = section("protocol", "Extensions")
    unknown = [
        keyword
        for known in PARAMETERS.values()
        for keyword, (extension, _) in known.items()
        if extension not in EXTENSIONS
    ]
    assert f"({', '.join(f'`{keyword}`' for keyword in unknown)}) is 555" in " ".join(text.split())


def test_every_limit_is_in_the_table():
    named = " ".join(row[0] for row in rows(section("protocol", "Limits")))
    assert re.findall(r"`(\w+)`", named) == [
        field.encode_name for field, _ in kinds.keys(LimitsConfig)
    ]


# operation


# Events of processes that the supervisor starts, and of the dashboard, are logged in one place.
OF_PROCESSES = re.compile(r'\bCode\(\s*"[\w.]+",\s*"([^"]+)",\s*"([^"]+)",\s*"([^"]+)"')
OF_DASHBOARD = re.compile(
    r'\baudit\.record\("([^"]+)"|TrapState\.\w+: "(dashboard [^"]+)"'
    r'|[A-Z]+_[A-Z]+ = "((?:dashboard|api) [^"]+)"'
)

OF_ENTRIES = re.compile(r'"\w+": "(allow entry \w+)"')


def _logged_in(text):
    yield from LOGGED.findall(text)
    yield from OF_ENTRIES.findall(text)
    yield from ("".join(names) for names in OF_DASHBOARD.findall(text))
    for events in OF_PROCESSES.findall(text):
        yield from events


def logged():
    sources = (path.read_text() for path in SOURCE.rglob("*.py"))
    found = [event for text in sources for event in _logged_in(text)]
    assert len(found) >= 10
    return {*found, *get_args(Result), "submitted"}


def test_every_event_of_the_log_is_listed():
    names = " ".join(row[0] for row in rows(section("operation", "Logs")))
    assert set(re.findall("`([^`]+)`", names)) == logged()


FULL = Transaction(
    *(
        1.0,
        "1-1.1",
        "1-1",
        Client("192.0.2.1", 1, helo="x", user="u", tls="TLSv1.3"),
        "a@b.example",
    ),
    *("refused", "gatepost", "trap", "554 no"),
    hook="data",
    recipients=[
        RecipientRecord("a@b.example"),
        RecipientRecord("c@d.example", "refused", "550 no"),
    ],
    recipients_count=2,
    refused_count=1,
    answers=[
        LedgerAnswer("rcpt", "mine", "deny", "why"),
        LedgerAnswer("data", "mine", "deny", shadow=True),
    ],
    traps=[Trap("a@b.example", "a@b.example", "traps", 1)],
    results=[PluginResult("spf", "pass")],
    edits=["x"],
    changes=["x"],
    next_hops={"x": "250 Ok"},
    shadowed=True,
    faults=1,
    plugin="mine",
    problem="x",
)


def test_every_field_of_a_transaction_is_listed():
    described = " ".join(row[0] for row in rows(section("operation", "Transactions")))
    names = [name for name in fields_of(line_of(FULL)) if name != "event"]
    assert re.findall(r"`(\w+)`", described) == names


def test_every_reason_of_the_core_is_listed():
    reasons = {one.decision.reason for one in answers().values()} | {"trap"}
    reasons |= {one.reason for one in ON_ERROR.values() if one is not None}
    text = " ".join(section("operation", "Logs").split())
    sentence = re.search(r"The reasons of the core are (.*)\.$", text)[1]
    assert set(re.findall(r"`([\w-]+)`", sentence)) == reasons


@pytest.mark.parametrize("row", rows(section("operation", "Maildirs")), ids=lambda row: row[0])
def test_the_maildir_of_a_recipient_is_correct(row, tmp_path):
    address = Address.parse(row[0].strip("`"))
    user = without_tag(local_key(address.local), "+")
    target = maildir.MaildirTarget("{domain}/{local}", base=tmp_path, hostname="mx.example.com")
    folder = target.folder(Recipient(address, {}, user))
    assert str(folder.relative_to(tmp_path)) == row[1].strip("`")


CONSOLE = [
    line.removeprefix("$ ")
    for name in NAMES
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", page(name))
    for line in block.splitlines()
    if line.startswith("$ gatepost ")
]


def _stands_alone(group, words):
    """Return whether a group is called without one of its commands."""
    return group.invoke_without_command and (not words or words[0].startswith("-"))


@pytest.mark.parametrize("line", CONSOLE)
def test_every_command_line_is_valid(line):
    words = shlex.split(line.partition("2>>")[0])[1:]
    command = gatepost
    context = click.Context(command, info_name="gatepost")
    while isinstance(command, click.Group) and not _stands_alone(command, words):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"{line}: there is no {name}"
    command.make_context(command.name, words, parent=context)


@pytest.mark.parametrize("name", NAMES)
def test_every_mentioned_command_exists(name):
    for words in re.findall(r"`gatepost (\w[\w ]*)", page(name)):
        assert words.split()[0] in gatepost.list_commands(click.Context(gatepost))
