"""`gatepost queue`, with and without a running queue."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.queue.fakes import DEAD, LATER, REFUSED, Target
from tests.queue.fakes import run as run_queue
from tests.queue.spool.samples import facts, flip_bit, new_message, put, recipient, store_at

from gatepost.cli.commands import gatepost
from gatepost.queue.spool.corrupt import mark_recovered, rename_damaged
from gatepost.queue.spool.sql.schema import VERSION
from gatepost.queue.throttle import FAILURES

BIG = b"Subject: big\r\nX: y\r\n\r\n" + b"x" * 600_000


@pytest.fixture
def folder(configure):
    configure()
    return Path("var/spool").absolute()


@pytest.fixture
def spool(folder):
    """Two files: three messages queued, one held, for five recipients."""
    folder.mkdir(parents=True)
    with store_at(folder / "1.db") as store:
        put(
            store,
            new_message(recipient("a@example.com"), recipient("b@example.com"), of=facts("s-1.1")),
            new_message(recipient("c_1@example.com", "two"), of=facts("s-1.2", ""), content=BIG),
        )
    with store_at(folder / "3.db") as store:
        held = recipient("d@example.net", due=None, reply="550 5.1.1 No", reason="No")
        put(store, new_message(held, recipient("e@example.net"), of=facts("s-2.1")))
    return folder


def listed(run, *options):
    result = run("queue", "list", "--json", *options)
    assert result.exit_code == 0, result.stderr
    return [one["recipient"].partition("@")[0] for one in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["a", "b", "c_1", "d", "e"]),
        (["--limit", 2], ["a", "b"]),
        (["--after", "1-1"], ["c_1", "d", "e"]),
        (["--after", "1-2", "--limit", 1], ["d"]),
        (["--after", "3-1"], []),
        (["1-1"], ["a", "b"]),
        (["1-2", "s-2.1"], ["c_1", "d", "e"]),
        (["--state", "held"], ["d"]),
        (["--state", "queued", "3-1"], ["e"]),
        (["--destination", "two"], ["c_1"]),
        (["--recipient", "*@EXAMPLE.net"], ["d", "e"]),
        (["--recipient", "c_1@*"], ["c_1"]),
        (["--recipient", "c%"], []),
        (["--sender", ""], ["c_1"]),
        (["--sender", "sender@*"], ["a", "b", "d", "e"]),
    ],
)
def test_list_selects_recipients(run, spool, options, expected):
    assert listed(run, *options) == expected


def test_list_prints_a_table(run, spool):
    result = run("queue", "list", "--limit", 4)
    lines = result.stdout.splitlines()
    assert re.split(r"  +", lines[0])[:4] == ["message", "state", "next attempt", "attempts"]
    held = next(number for number, line in enumerate(lines) if line.startswith("3-1"))
    assert lines[held].split()[1::3] == ["held", "<d@example.net>"]
    assert lines[held + 1] == "    from <sender@example.net> to one"
    assert lines[held + 2] == "    550 5.1.1 No"
    assert lines[held + 3 :] == ["There may be more: use --after 3-1 or a higher --limit"]
    assert max(map(len, lines)) <= 80


def test_list_of_an_empty_queue(run, folder):
    assert run("queue", "list").stdout == "Mail queue is empty\n"
    assert run("queue", "list", "1-1").stdout == "No matching mail\n"
    assert listed(run) == []


def test_show_prints_the_envelope_and_the_header(run, spool):
    result = run("queue", "show", "s-2.1")
    assert "message   3-1\n" in result.stdout
    assert "recipient <d@example.net>\nstate     held\n" in result.stdout
    assert "reply     550 5.1.1 No\n" in result.stdout
    assert "\nSubject: x\n" in result.stdout
    data = json.loads(run("queue", "show", "1-2", "--json").stdout)
    assert data["header"] == [["Subject", "big"], ["X", "y"]]
    assert data["facts"]["peer"]["host"] == "192.0.2.1"


def test_show_content_prints_the_message(run, spool):
    result = CliRunner().invoke(gatepost, ["queue", "show", "1-2", "--content"])
    assert result.stdout_bytes == BIG


def test_an_unknown_message_is_an_error(run, spool):
    for arguments in (["show", "1-9"], ["show", "2-1"], ["remove", "1-9"], ["release", "1-1"]):
        result = run("queue", *arguments)
        assert (result.exit_code, "no such message" in result.stderr) == (1, True)


def test_remove_deletes_recipients(run, spool):
    assert run("queue", "remove", "1-1", "--recipient", "a@*").stdout == "1 recipient removed\n"
    assert listed(run) == ["b", "c_1", "d", "e"]
    assert run("queue", "remove", "--all", "--json").stdout == '{\n  "recipients": 4\n}\n'
    assert listed(run) == []
    with store_at(spool / "1.db") as store:
        assert store.is_empty()


def test_hold_and_release_change_the_state(run, spool):
    assert run("queue", "hold", "--all").stdout == "4 recipients held\n"
    assert listed(run, "--state", "held") == ["a", "b", "c_1", "d", "e"]
    assert (
        run("queue", "release", "--destination", "one", "3-1").stdout == "2 recipients released\n"
    )
    assert listed(run, "--state", "queued") == ["d", "e"]


@pytest.mark.parametrize("command", ["retry", "hold", "release", "remove"])
@pytest.mark.parametrize("options", [[], ["--all", "1-1"], ["--all", "--state", "held"]])
def test_a_change_requires_a_selection_or_all(run, spool, command, options):
    result = run("queue", command, *options)
    assert result.exit_code == 2
    assert "--all" in result.stderr


def test_an_invalid_spool_file_is_an_error(run, spool):
    (spool / "1.db").write_bytes(b"x" * 5000)
    result = run("queue", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"gatepost: cannot access the spool: {spool / '1.db'}: ")


def test_a_spool_file_of_a_later_version_is_an_error(run, spool):
    with store_at(spool / "1.db") as store:
        store.connection.execute("PRAGMA user_version = 99")
    assert f"expected version {VERSION} or less, found 99" in run("queue", "list").stderr


DAMAGES = {
    "content": ("UPDATE content SET data = 'x'", "expected octets"),
    "flip_bit": ("UPDATE message SET digest = 1", "checksum mismatch"),
    "facts": ("UPDATE message SET facts = '{'", "truncated"),
    "text": ("UPDATE message SET facts = CAST(x'ff' AS TEXT)", "codec"),
    "no content": ("DELETE FROM content", "octets in the spool"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_show_reports_a_damaged_message(run, spool, damage):
    statement, problem = DAMAGES[damage]
    with store_at(spool / "3.db") as store:
        store.connection.execute(statement)
    result = run("queue", "show", "3-1")
    assert (result.exit_code, "recipient <d@example.net>" in result.stdout) == (0, True)
    assert re.search(rf"damaged   .*{problem}", result.stdout)
    data = json.loads(run("queue", "show", "3-1", "--json").stdout)
    assert problem in data["damage"]


def test_show_content_of_a_damaged_message_fails(run, spool):
    with store_at(spool / "1.db") as store:
        flip_bit(store.connection, 2, piece=1)
    result = run("queue", "show", "1-2", "--content")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        "gatepost: damaged: content checksum mismatch",
    )


def test_wrong_values_are_printed_unchanged(run, spool):
    with store_at(spool / "3.db") as store:
        store.connection.execute("UPDATE message SET size = 'x', expires = 'y', received = 9e99")
    for command in ("list", "show"):
        assert run("queue", command, "3-1").exit_code == 0
        assert run("queue", command, "3-1", "--json").exit_code == 0


def test_list_reports_damaged_files(run, spool):
    damaged = rename_damaged(spool / "1.db", "20240101T000000.000000")
    recovered = mark_recovered(rename_damaged(spool / "3.db", "20240101T000000.000001"), 4)
    result = run("queue", "list")
    assert result.stdout == "Mail queue is empty\n"
    assert result.stderr.splitlines() == [
        f"gatepost: {damaged}: damaged, a running server recovers the readable messages",
        f"gatepost: {recovered}: damaged, recovery finished, incomplete messages: 4",
    ]
    assert json.loads(run("queue", "list", "--json").stdout) == []


# with a running queue


def run_with_queue(tmp_path, scenario, target):
    """Run a queue in the folder of the configuration."""
    (tmp_path / "configured" / "var").mkdir()
    run_queue(tmp_path / "configured" / "var", scenario, target)


def test_retry_ends_the_suspension_of_a_next_hop(run, folder, tmp_path):
    target = Target({"one.example": [DEAD] * FAILURES + [None]})

    async def scenario(bench):
        for number in range(10):
            await bench.put("a@one.example", ref=f"s-1.{number}")
            await bench.run_until_idle()
        assert target.delivered == []
        assert run("queue", "retry", "--all").exit_code == 0
        await bench.run_until_idle()
        assert len(target.delivered) == 10

    run_with_queue(tmp_path, scenario, target)


@pytest.mark.parametrize("command", ["release", "retry"])
def test_a_damaged_message_is_held_again_after_release_and_retry(run, folder, tmp_path, command):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        await bench.in_store(lambda store: flip_bit(store.connection))
        await bench.run_until_idle(1000)
        for _ in range(2):
            ((_, _, reason),) = await bench.held()
            assert reason == "damaged: content checksum mismatch"
            run("queue", command, "--all")
            await bench.run_until_idle()
        assert len(target.tried) == 1

    run_with_queue(tmp_path, scenario, target)


def test_commands_change_the_mail_of_a_running_queue(run, folder, tmp_path):
    target = Target({"one.example": [REFUSED, None], "two.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", "b@two.example")
        await bench.run_until_idle()
        run("queue", "release", "--state", "held")
        await bench.run_until_idle()
        assert [taken[1] for taken in target.delivered] == [["a@one.example"]]
        run("queue", "hold", "--recipient", "b@*")
        await bench.run_until_idle(1000)
        assert len(target.tried) == 3
        run("queue", "remove", "s-1.1")
        await bench.run_until_idle(1000)
        assert await bench.rows("SELECT * FROM message") == []

    run_with_queue(tmp_path, scenario, target)
