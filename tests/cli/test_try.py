"""`gatepost try`."""

import json
import subprocess
import sys

import pytest

from gatepost import Plugin, deny
from gatepost.testing import RunningServer

TO_ALICE = ("--from", "me@client.example", "--to", "alice@example.com")


def plugin(folder, body):
    """Write a plugin `mine` of these lines and configure it."""
    lines = "".join(f"    {line}\n" for line in body)
    (folder / "mine.py").write_text(
        f"from gatepost import Plugin, accept, defer, deny\nclass Mine(Plugin):\n{lines}"
    )
    with (folder / "gatepost.toml").open("a") as file:
        file.write('\n[[plugin]]\nuse = "mine.py"\n')


def trial(run, *arguments, text=None):
    result = run("try", "--json", *arguments, text=text)
    return result, json.loads(result.stdout)


def test_an_accepted_message_shows_every_hook(run, folder):
    result, found = trial(run, *TO_ALICE)
    assert (result.exit_code, found["accepted"], found["traps"]) == (0, True, [])
    assert [(step["hook"], step["about"], step["by"]) for step in found["steps"]] == [
        ("connect", "192.0.2.1", ""),
        ("helo", "client.example", ""),
        ("ehlo", "", ""),
        ("mail", "<me@client.example>", ""),
        ("rcpt", "alice@example.com", ""),
        ("data", "", ""),
        ("message", "", ""),
        ("deliver", "", ""),
    ]
    assert found["steps"][4]["reply"] == "250 2.1.5 Recipient ok"
    assert found["steps"][-1]["answer"] == "not delivered: this is a trial"


def test_try_delivers_nothing(run, folder):
    run("try", *TO_ALICE)
    assert not (folder / "var").exists()


def test_a_trap_refuses_the_message(run, folder):
    result, found = trial(run, *TO_ALICE, "--to", "trap@example.com")
    assert (result.exit_code, found["accepted"], found["delay"]) == (1, False, 1.0)
    assert found["traps"] == [
        (
            "trap@example.com matches trap@example.com (an example: hidden on the contact page)"
            f" in {folder}/verybadrcptto:9"
        )
    ]
    last = found["steps"][-1]
    assert (last["hook"], last["by"], last["answer"]) == ("data", "gatepost", "deny (trap)")
    assert last["reply"].startswith("554 5.7.1 Message refused by local policy [")


def test_the_steps_are_printed_as_a_table(run, folder):
    result = run("try", *TO_ALICE, "--to", "trap@example.com")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["hook", "argument", "decided", "by", "decision", "reply"]
    assert lines[3].endswith("250-localhost …")
    assert lines[-3].startswith("trap: trap@example.com matches trap@example.com")
    assert lines[-2:] == ["delay: 1 s before the reply", "refused"]


def test_the_plugins_at_each_hook_are_shown_with_v(run, folder):
    plugin(folder, ["def on_mail(self, tx, sender):", "    return None"])
    lines = [line.split() for line in run("try", "-v", *TO_ALICE).stdout.splitlines()]
    assert lines[0][2] == "plugins"
    assert ["mail", "<me@client.example>", "mine"] in [line[:3] for line in lines]


def test_decisions_in_shadow_mode_are_shown(run, folder):
    plugin(
        folder,
        [
            "def on_connect(self, session):",
            "    return defer()",
            "def on_rcpt(self, tx, rcpt):",
            "    return deny('no', reason='why')",
        ],
    )
    with (folder / "gatepost.toml").open("a") as file:
        file.write('action = "log"\n')
    lines = run("try", *TO_ALICE).stdout.splitlines()
    assert "would have deferred at connect (by mine)" in lines
    assert "would have refused at rcpt, why (by mine)" in lines
    assert lines[-1] == "accepted"


def test_a_refusal_by_a_plugin_is_shown(run, folder):
    plugin(folder, ["def on_mail(self, tx, sender):", "    return deny('no', reason='why')"])
    result, found = trial(run, *TO_ALICE)
    assert result.exit_code == 1
    last = found["steps"][-1]
    assert (last["hook"], last["by"], last["answer"]) == ("mail", "mine", "deny (why)")
    assert last["asked"] == ["mine"]
    assert last["reply"].startswith("550 5.7.1 no [")


@pytest.mark.parametrize(("call", "result"), [("defer()", "deferred"), ("deny()", "refused")])
def test_the_last_line_distinguishes_a_deferral_from_a_refusal(run, folder, call, result):
    plugin(folder, ["def on_rcpt(self, tx, rcpt):", f"    return {call}"])
    assert run("try", *TO_ALICE).stdout.splitlines()[-1] == result


@pytest.mark.parametrize(
    ("option", "value", "test"),
    [
        ("--ip", "2001:db8::1", "session.peer.host == '2001:db8::1'"),
        ("--helo", "mx.example", "session.helo == 'mx.example'"),
        ("--auth", "alice", "session.auth.user == 'alice'"),
        ("--tls", None, "session.tls.version == 'TLSv1.3'"),
        ("--lmtp", None, "session.protocol == 'lmtp'"),
    ],
)
def test_plugins_see_the_client(run, folder, option, value, test):
    plugin(
        folder,
        ["def on_mail(self, tx, sender):", f"    session = tx.session; return {test} and deny()"],
    )
    options = [option] if value is None else [option, value]
    last = trial(run, *TO_ALICE, *options)[1]["steps"][-1]
    assert (last["hook"], last["by"]) == ("mail", "mine")


def test_a_connection_is_encrypted_from_its_start(run, folder):
    plugin(folder, ["def on_connect(self, session):", "    return session.tls and deny()"])
    assert trial(run, *TO_ALICE)[0].exit_code == 0
    assert trial(run, *TO_ALICE, "--tls")[1]["steps"][-1]["by"] == "mine"


def test_a_listener_has_its_protocol_and_its_plugins(run, folder):
    text = (
        (folder / "gatepost.toml")
        .read_text()
        .replace(
            "[[listen]]",
            '[[listen]]\naddress = "127.0.0.1:0"\nprotocol = "lmtp"\nname = "in"\n[[listen]]',
            1,
        )
    )
    (folder / "gatepost.toml").write_text(text)
    plugin(
        folder,
        [
            "def on_mail(self, tx, sender):",
            "    assert (tx.session.listener, tx.session.protocol) == ('in', 'lmtp')",
        ],
    )
    with (folder / "gatepost.toml").open("a") as file:
        file.write('listen = ["in"]\n')
    assert "mine" not in str(trial(run, *TO_ALICE)[1]["steps"])
    result, found = trial(run, *TO_ALICE, "--to", "bob@example.com", "--listen", "in")
    assert (result.exit_code, len(found["recipients"])) == (0, 2)
    assert found["steps"][3]["asked"] == ["mine"]


def test_an_unknown_listener_is_wrong_usage(run, folder):
    result = run("try", *TO_ALICE, "--listen", "out")
    assert result.exit_code == 2
    assert result.stderr == "gatepost: --listen: no listener has the name 'out'\n"


def test_results_and_final_recipients_are_shown(run, folder):
    plugin(
        folder,
        [
            "def on_mail(self, tx, sender):",
            "    tx.results.add('spf', 'pass', domain='client.example', score=-1)",
            "def on_message(self, tx):",
            "    tx.replace_recipient(tx.recipients[1], ['carol@example.com'])",
        ],
    )
    both = (*TO_ALICE, "--to", "bob@example.com")
    found = trial(run, *both)[1]
    facts = {"domain": "client.example", "score": "-1"}
    assert found["results"] == [{"name": "spf", "value": "pass", "facts": facts}]
    assert found["recipients"] == ["alice@example.com", "bob@example.com"]
    assert found["final"] == ["alice@example.com", "carol@example.com"]
    lines = run("try", *both).stdout.splitlines()
    assert "result: spf=pass domain=client.example score=-1" in lines
    assert "final recipients: alice@example.com, carol@example.com" in lines


def test_what_plugins_log_is_shown_with_v(folder):
    plugin(folder, ["def on_mail(self, tx, sender):", "    self.log.info('seen', sender=sender)"])

    def errors(*arguments):
        command = [sys.executable, "-m", "gatepost", "try", *TO_ALICE, *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stderr

    assert errors() == ""
    assert "gatepost.plugin seen plugin=mine sender=me@client.example" in errors("-v")


def test_a_coroutine_that_is_not_awaited_is_shown(folder):
    plugin(
        folder,
        [
            "async def known(self):",
            "    return True",
            "def on_mail(self, tx, sender):",
            "    self.known()",
        ],
    )
    command = [sys.executable, "-m", "gatepost", "try", *TO_ALICE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    [line] = done.stderr.splitlines()
    assert "python warning category=RuntimeWarning" in line
    assert "known' was never awaited" in line
    assert "mine.py:6" in line


def test_plugins_see_the_message(run, folder):
    plugin(
        folder,
        [
            "def on_message(self, tx):",
            "    content = bytes(tx.message)",
            "    assert content == b'Subject: x\\r\\n\\r\\n.dot\\r\\n', content",
            "    return deny('read')",
        ],
    )
    (folder / "mail").write_text("Subject: x\n\n.dot\n")
    last = trial(run, *TO_ALICE, "--message", "mail")[1]["steps"][-1]
    assert (last["hook"], last["by"], last["answer"]) == ("message", "mine", "deny")
    last = trial(run, *TO_ALICE, "--message", "-", text="Subject: x\n\n.dot")[1]["steps"][-1]
    assert (last["hook"], last["by"], last["answer"]) == ("message", "mine", "deny")


EDITS = [
    "def on_message(self, tx):",
    "    tx.message.remove_header('X-Spam')",
    "    tx.message.replace_header('Subject', 'new')",
    "    tx.message.add_header('X-Checked', 'yes')",
    "    tx.message.replace_body(b'new\\r\\n')",
]
SIGNED = "X-Spam: yes\nDKIM-Signature: d=client.example; h=subject\nSubject: old\n\ntext\n"


@pytest.mark.parametrize("end", [[], ["    return deny('read')"]], ids=["accepted", "refused"])
def test_the_edits_of_plugins_are_shown(run, folder, end):
    plugin(folder, EDITS + end)
    (folder / "mail").write_text(SIGNED)
    found = trial(run, *TO_ALICE, "--message", "mail")[1]
    assert found["accepted"] is not bool(end)
    assert [(one["kind"], one["name"], one["summary"]) for one in found["edits"]] == [
        ("removed", "X-Spam", "yes"),
        ("replaced", "Subject", "new"),
        ("added", "X-Checked", "yes"),
        ("body replaced", "", "5 octets"),
    ]
    assert found["broken_signatures"] == ["DKIM-Signature of client.example"]
    lines = run("try", *TO_ALICE, "--message", "mail").stdout.splitlines()
    shown = [line.partition(" (by ")[0] for line in lines[-6:-1]]
    assert shown == [
        "removed X-Spam: yes",
        "replaced Subject: new",
        "added X-Checked: yes",
        "body replaced: 5 octets",
        "warning: the edits invalidate the DKIM-Signature of client.example",
    ]


LOOKUP = [
    "async def on_lookup(self, tx, rcpt):",
    "    import asyncio",
    "    from gatepost import local, unknown",
    "    if rcpt.user == 'slow': await asyncio.sleep(0)",
    "    if rcpt.user == 'broken': raise KeyError('broken')",
    "    answers = {'one': local(), 'slow': local(), 'gone': unknown('has left')}",
    "    return answers.get(rcpt.user) if rcpt.domain == 'tenant.example' else None",
]


@pytest.mark.parametrize(
    ("to", "answer", "reply"),
    [
        ("one@tenant.example", "local", "250"),
        ("slow@tenant.example", "local", "250"),
        ("gone@tenant.example", "unknown (has left)", "550"),
        ("broken@tenant.example", "defer (plugin-failed)", "451"),
        ("one@elsewhere.example", "no opinion", "550"),
    ],
)
def test_look_ups_are_steps(run, folder, to, answer, reply):
    plugin(folder, LOOKUP)
    steps = trial(run, "--to", to)[1]["steps"]
    lookup, rcpt = steps[4:6]
    [opinion] = lookup.pop("opinions")
    assert opinion["seconds"] >= 0
    given = "" if answer == "no opinion" else answer
    assert (opinion["plugin"], opinion["opinion"]) == ("mine", given)
    assert lookup == {
        "hook": "lookup",
        "about": to,
        "by": "" if answer == "no opinion" else "mine",
        "answer": answer,
        "reply": "",
        "asked": ["mine"],
    }
    assert (rcpt["hook"], rcpt["reply"][:3]) == ("rcpt", reply)


def test_a_cached_look_up_asks_no_plugin(run, folder):
    plugin(folder, LOOKUP)
    steps = trial(run, "--to", "one@tenant.example", "--to", "One@Tenant.example")[1]["steps"]
    lookups = [(one["answer"], one["asked"]) for one in steps if one["hook"] == "lookup"]
    assert lookups == [("local", ["mine"]), ("local", [])]


def test_edits_in_shadow_mode_are_shown(run, folder):
    plugin(folder, EDITS)
    with (folder / "gatepost.toml").open("a") as file:
        file.write('action = "log"\n')
    (folder / "mail").write_text(SIGNED)
    found = trial(run, *TO_ALICE, "--message", "mail")[1]
    assert (found["edits"], found["broken_signatures"]) == ([], [])
    assert [one["kind"] for one in found["shadowed_edits"]] == [
        *("removed", "replaced", "added", "body replaced")
    ]
    lines = run("try", *TO_ALICE, "--message", "mail").stdout.splitlines()
    assert "would have edited: replaced Subject: new (by mine)" in lines


def test_a_message_without_edits_shows_none(run, folder):
    found = trial(run, *TO_ALICE)[1]
    assert (found["edits"], found["broken_signatures"]) == ([], [])


def test_the_headers_hook_is_shown_if_a_plugin_uses_it(run, folder):
    plugin(folder, ["def on_headers(self, tx, headers):", "    return deny('headers')"])
    hooks = [step["hook"] for step in trial(run, *TO_ALICE)[1]["steps"]]
    assert hooks[-2:] == ["data", "headers"]


def test_header_size_applies_only_if_a_plugin_reads_the_header(run, folder):
    with (folder / "gatepost.toml").open() as file:
        text = file.read().replace("[limits]", '[limits]\nheader_size = "1KiB"')
    (folder / "gatepost.toml").write_text(text)
    (folder / "mail").write_text("X-Long: y\n" * 1000 + "\n.\n")
    assert trial(run, *TO_ALICE, "--message", "mail")[0].exit_code == 0


def test_a_bare_cr_in_the_message_is_refused(run, folder):
    (folder / "mail").write_bytes(b"one\rtwo\n")
    result, found = trial(run, *TO_ALICE, "--message", "mail")
    assert result.exit_code == 1
    last = found["steps"][-1]
    assert (last["by"], last["reply"][:9]) == ("gatepost", "550 5.6.0")


def test_the_exception_of_a_plugin_is_logged(folder):
    import subprocess
    import sys

    plugin(folder, ["def on_data(self, tx):", "    return 1 / 0"])
    command = [sys.executable, "-m", "gatepost", "try", "--json", *TO_ALICE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = json.loads(done.stdout)["steps"][-1]
    assert (last["by"], last["answer"]) == ("mine", "defer (plugin-failed)")
    assert "plugin failed plugin=mine method=on_data ref=" in done.stderr
    assert "    ZeroDivisionError: division by zero\n" in done.stderr


def test_postmaster_and_the_null_reverse_path_are_accepted(run, folder):
    result, found = trial(run, "--to", "postmaster")
    assert result.exit_code == 0
    assert [step["answer"] for step in found["steps"] if step["hook"] == "rcpt"] == [
        "accept (postmaster)"
    ]
    assert [step["about"] for step in found["steps"] if step["hook"] == "mail"] == ["<>"]


def test_an_internationalised_address_is_accepted(run, folder):
    result, found = trial(run, "--from", "jürgen@client.example", "--to", "alice@example.com")
    assert result.exit_code == 0
    assert found["steps"][3]["about"] == "<jürgen@client.example>"


def test_a_refused_connection_ends_the_trial(run, folder):
    plugin(folder, ["def on_connect(self, session):", "    return deny('go away')"])
    result, found = trial(run, *TO_ALICE)
    assert result.exit_code == 1
    assert [step["hook"] for step in found["steps"]] == ["connect"]


def test_the_name_of_the_client_is_that_of_xclient(run, folder):
    plugin(
        folder,
        ["def on_mail(self, tx, sender):", "    return deny(tx.session.xclient['NAME'])"],
    )
    last = trial(run, *TO_ALICE, "--name", "mx.example")[1]["steps"][-1]
    assert last["reply"].startswith("550 5.7.1 mx.example [")


def test_all_wrong_options_are_named(run, folder):
    result = run("try", "--ip", "x", "--helo", "", "--to", "bob@example.com")
    assert result.stderr.splitlines() == [
        "gatepost: --ip: expected an IP address, found 'x'",
        "gatepost: --helo: expected a name such as client.example, found ''",
    ]


WRONG = [
    (("--ip", "300.1.1.1"), "--ip: expected an IP address, found '300.1.1.1'"),
    (("--ip", "fe80::1%a"), "--ip: expected an IP address, found 'fe80::1%a'"),
    (("--name", "a b"), "--name: expected a name such as client.example, found 'a b'"),
    (
        ("--auth", "a\nb"),
        r"--auth: expected at most 1000 printable characters, found 'a\nb'",
    ),
    (("--helo", "a\r\nb"), r"--helo: expected a name such as client.example, found 'a\r\nb'"),
    (("--from", "a@b@c"), "--from: expected local-part@domain, found 'a@b@c'"),
    (("--to", "a>\r\nb"), r"--to: expected local-part@domain, found 'a>\r\nb'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda one: one[0])
def test_an_invalid_argument_is_wrong_usage(run, folder, arguments, message):
    result = run("try", *TO_ALICE, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"gatepost: {message}\n"


def test_a_missing_recipient_is_wrong_usage(run, folder):
    result = run("try")
    assert result.exit_code == 2
    assert result.stderr == "gatepost: Missing option '--to', see gatepost try --help\n"


def test_an_unreadable_message_is_an_error(run, folder):
    result = run("try", *TO_ALICE, "--message", "none")
    assert result.exit_code == 1
    assert result.stderr == "gatepost: --message: none: No such file or directory\n"


def test_an_unreadable_list_is_an_error(run, folder):
    (folder / "verybadrcptto").unlink()
    result = run("try", *TO_ALICE)
    assert result.exit_code == 1
    assert result.stderr == (
        f"gatepost: {folder}/verybadrcptto: cannot be read: No such file or directory\n"
    )


def test_a_plugin_that_cannot_start_is_an_error(run, folder):
    plugin(folder, ["async def start(self):", "    raise OSError('no database')"])
    result = run("try", *TO_ALICE)
    assert result.exit_code == 1
    problem = f"{folder}/mine.py:4: OSError: no database"
    assert result.stderr == f"gatepost: plugin mine: start() failed: {problem}\n"


def test_a_message_for_some_recipients_names_them(run, folder):
    to_both = (*TO_ALICE, "--to", "nobody@example.com")
    result, found = trial(run, *to_both)
    assert (result.exit_code, found["accepted"]) == (0, True)
    assert found["recipients"] == ["alice@example.com"]
    last = run("try", *to_both).stdout.splitlines()[-1]
    assert last == "accepted for 1 of 2 recipients: alice@example.com"
    assert run("try", *TO_ALICE).stdout.splitlines()[-1] == "accepted"


def test_the_help_names_the_default_sender(run):
    help_text = " ".join(run("try", "--help").stdout.split())
    assert "The sender. Default: the null reverse-path, as in DSNs." in help_text


class NoBob(Plugin):
    def on_rcpt(self, _tx, rcpt):
        return deny("no bob") if rcpt.address.local == "bob" else None


def test_a_refusal_by_the_next_hop_names_it(run, configure):
    with RunningServer([NoBob()]) as next_hop:
        host, port = next_hop.address
        configure("[[route]]", f'to = "smtp://{host}:{port}"')
        step = trial(run, "--to", "bob@example.com")[1]["steps"][-1]
    assert (step["hook"], step["by"]) == ("rcpt", "next hop")
    assert step["answer"] == "deny (next-hop-refuses)"


ACTING = [
    "def on_rcpt(self, tx, rcpt):",
    "    tx.replace_recipient(rcpt, ['ann@example.com', 'bob@example.com'])",
    "async def on_message(self, tx):",
    "    tx.choose_route('junk', tx.recipients[:1])",
    "    tx.add_recipient('journal@example.com')",
    "    await self.submit('', ['boss@example.com'], b'Subject: x\\n\\ntext\\n')",
]


def test_changes_of_recipients_are_shown(run, folder):
    plugin(folder, ACTING)
    with (folder / "gatepost.toml").open("a") as file:
        file.write('\n[[route]]\nname = "junk"\nfor = []\nto = "discard:"\n')
    found = trial(run, *TO_ALICE)[1]
    final = ["ann@example.com by route junk", "bob@example.com", "journal@example.com"]
    assert (found["accepted"], found["final"]) == (True, final)
    assert found["submitted"] == [["boss@example.com"]]
    assert [one["kind"] for one in found["changes"]] == ["replaced", "route junk", "added"]
    assert run("try", *TO_ALICE).stdout.splitlines()[-6:] == [
        "replaced alice@example.com by ann@example.com, bob@example.com (mine)",
        "route junk ann@example.com (mine)",
        "added journal@example.com (mine)",
        f"final recipients: {', '.join(final)}",
        "submitted a message to boss@example.com",
        "accepted",
    ]
