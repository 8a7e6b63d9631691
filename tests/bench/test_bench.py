import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bench.__main__ import main, names_of
from bench.floor import Floor
from bench.load import Cost, Load
from bench.messages import message_table
from bench.process import BenchError, Running
from bench.table import Table, spread
from bench.tls import TlsLoad, send_round, tls_table
from tests.e2e.conftest import serving

from bench import load, page, proc, servers, traplist

CHECKOUT = Path(__file__).resolve().parents[2]
ROLLUP = """\
55f0cab89000-7ffc3788c000 ---p 00000000 00:00 0                          [rollup]
Rss:                1740 kB
Pss:                 408 kB
Pss_Dirty:           112 kB
"""


def test_a_command_name_with_blanks_and_parentheses_is_parsed():
    line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 55 1024 9"
    stat = proc.parse_stat(line)
    assert (stat.pid, stat.parent) == (42, 7)
    assert stat.cpu == pytest.approx(124 * proc.TICK)


def test_the_stat_of_this_process_has_its_parent():
    stat = proc.parse_stat(Path("/proc/self/stat").read_text())
    assert (stat.pid, stat.parent) == (os.getpid(), os.getppid())


def test_memory_is_read_in_bytes():
    assert proc.parse_memory(ROLLUP) == proc.Memory(1740 * 1024, 408 * 1024)


def test_the_memory_of_this_process_is_read():
    memory = proc.memory(os.getpid())
    assert memory.rss >= memory.pss > 0


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1), (3, 5, 1, 4, 2)])
def test_descendants_are_found_in_any_order(order):
    parents = {1: 0, 2: 1, 3: 2, 4: 0, 5: 3}
    stats = [proc.Stat(pid, parents[pid], 0.0) for pid in order]
    assert {stat.pid for stat in proc.descendants(1, stats)} == {1, 2, 3, 5}


def test_a_process_that_has_ended_has_no_descendants():
    assert proc.descendants(9, [proc.Stat(1, 0, 0.0)]) == []


def test_a_table_is_aligned_as_text():
    table = Table("T", ("load", "server", "n"), [("new", "gatepost", "1.25"), ("new", "x", "10")])
    assert table.text() == ("T\nload  server       n\nnew   gatepost  1.25\nnew   x           10")


def test_a_table_is_written_as_markdown():
    table = Table("T", ("load", "server", "n"), [("new", "x", "10")])
    assert table.markdown() == (
        "### T\n\n| load | server | n |\n| --- | --- | ---: |\n| new | x | 10 |"
    )


def test_the_spread_is_the_smallest_and_the_largest_value():
    assert spread([0.3, 0.1, 0.2]) == "0.100 - 0.300"


def test_the_ratio_is_the_median_over_paired_rounds():
    costs = {
        "new": {
            "gatepost": [Cost(1000, 0.2, 1.0), Cost(1000, 0.6, 1.0), Cost(1000, 0.3, 1.0)],
            "gatepost-quiet": [Cost(1000, 0.1, 1.0), Cost(1000, 0.3, 1.0), Cost(1000, 0.6, 1.0)],
            "floor": [Cost(1000, 0.1, 0.5), Cost(1000, 0.3, 0.5), Cost(1000, 0.3, 0.5)],
        }
    }
    assert message_table(costs).rows == [
        ("new", "gatepost", "2.00", "0.300", "0.200 - 0.600", "1.00", "0.300", "1,000", ""),
        ("new", "floor", "1.00", "0.300", "0.100 - 0.300", "", "", "2,000", ""),
    ]


def test_ratios_with_tls_are_to_postfix():
    costs = {"tls": {"gatepost": [Cost(1000, 0.5, 2.0)], "postfix": [Cost(1000, 1.0, 4.0)]}}
    assert tls_table(costs).rows == [
        ("tls", "gatepost", "0.500", "0.500 - 0.500", "0.50", "500"),
        ("tls", "postfix", "1.000", "1.000 - 1.000", "1.00", "250"),
    ]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_refused_message_fails_the_round_of_the_tls_client(tmp_path, mode):
    with serving(tmp_path, tls=mode) as server:
        running = Running("gatepost", server.process.pid, server.port, 0.0)
        with pytest.raises(BenchError, match=r"^gatepost: the client ended with 1: .*550"):
            send_round(running, TlsLoad(mode, 4, 1))
        assert send_round(running, TlsLoad(mode, 4, 0)).messages == 4


def test_there_is_no_ratio_if_rounds_cannot_be_paired():
    costs = {"large": {"gatepost": [Cost(100, 1.0, 2.0)]}}
    expected = ("large", "gatepost", "", "10.000", "10.000 - 10.000", "", "", "50", "50")
    assert message_table(costs).rows == [expected]


@pytest.mark.parametrize("size", [1, 2, 999, 10_000])
def test_trap_addresses_are_all_different(size):
    assert len(set(traplist.addresses(size))) == size


def test_a_trap_list_has_the_named_trap_and_size_more(tmp_path):
    traplist.write_traps(tmp_path / "traps", 250_001, "trap@bench.example")
    lines = (tmp_path / "traps").read_text().splitlines()
    assert lines[0] == "trap@bench.example"
    assert len(lines) == len(set(lines)) == 250_002


def test_a_trap_list_of_size_zero_is_empty(tmp_path):
    traplist.write_traps(tmp_path / "traps", 0, "trap@bench.example")
    assert (tmp_path / "traps").read_text() == ""


@pytest.mark.parametrize(
    ("output", "port"),
    [
        (b"gatepost: ready smtp=127.0.0.1:2525\n", b"2525"),
        (b"noise\ngatepost: ready lmtp=127.0.0.1:24 smtp=127.0.0.1:25 \n", b"25"),
    ],
)
def test_the_ready_line_has_the_port(output, port):
    assert servers.READY.search(output)[1] == port


def test_there_is_no_port_before_the_ready_line():
    assert servers.READY.search(b"gatepost: not ready smtp=none\n") is None


def test_unknown_names_are_refused():
    assert names_of(["a", "b"])("b, a") == ["b", "a"]
    with pytest.raises(Exception, match=r"^found c; expected any of a, b$"):
        names_of(["a", "b"])("a,c")


def test_an_unknown_scenario_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--only", "nope"])
    assert ended.value.code == 2
    assert "found nope; expected any of new, reused, refused, large" in capsys.readouterr().err


REFUSED = "warning: data rejected: 554 5.7.1 no\n"


@pytest.mark.parametrize(
    ("load_", "code", "output"),
    [
        (Load(2), 1, "fatal: bad reply"),
        (Load(2), 0, REFUSED),
        (Load(2, refused=True), 0, REFUSED),
        (Load(2, refused=True), 0, ""),
    ],
)
def test_a_round_with_unexpected_replies_does_not_count(load_, code, output):
    done = subprocess.CompletedProcess([], code, "", output)
    with pytest.raises(BenchError, match=r"^gatepost: smtp-source ended with"):
        load._check(Running("gatepost", 1, 25, 0.0), load_, done)


def test_the_help_lists_every_scenario():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("new", "reused", "refused", "large", "tls", "tls-reused", "idle", "traps"):
        assert name in done.stdout


PAGE = """\
# Figures

<!-- bench: Messages -->
### Messages

an old run

| old |

<!-- end -->

Text between.

<!-- bench: TLS -->
<!-- end -->
"""


def test_a_measured_table_replaces_the_one_on_the_page():
    tables = [Table("Messages", ("load", "server", "n"), [("new", "x", r"1\1")]), Table("TLS", ())]
    assert page.rewrite(PAGE, tables, "a new run") == PAGE.replace(
        "an old run", "a new run"
    ).replace("| old |", "| load | server | n |\n| --- | --- | ---: |\n| new | x | 1\\1 |")


def test_an_empty_place_gets_its_table_and_the_others_stay():
    table = Table("TLS", ("a", "b"), [("c", "d")])
    changed = page.rewrite(PAGE, [table], "run")
    assert changed.startswith(PAGE.partition("<!-- bench: TLS")[0])
    table_text = "### TLS\n\nrun\n\n| a | b |\n| --- | --- |\n| c | d |\n\n"
    assert changed.endswith(f"<!-- bench: TLS -->\n{table_text}<!-- end -->\n")
    assert page.rewrite(changed, [table], "run") == changed


def test_every_table_has_its_place_on_the_page():
    sources = "".join(path.read_text("utf-8") for path in (CHECKOUT / "bench").rglob("*.py"))
    made = re.findall(r'\bTable\(\s*"([^"]+)"', sources)
    assert len(made) >= 9
    assert set(made) == set(page.titles(page.PAGE.read_text("utf-8")))


def commands(sock, *lines):
    """Send lines, one after the other; return the code of each reply."""
    replies = sock.makefile("rb")
    codes = [replies.readline()[:3]]
    for line in lines:
        sock.sendall(line)
        codes.append(replies.readline()[:3])
    return codes


@pytest.fixture(params=[False, True], ids=["accepts", "refuses"])
def floor(request, tmp_path):
    setup = servers.Setup(tmp_path, refuses=request.param)
    with (
        servers.floor(setup) as running,
        socket.create_connection(("127.0.0.1", running.port)) as sock,
    ):
        yield sock, request.param


MESSAGE = b"Subject: x\r\n\r\n..\r\n.x\r\n.\r\n"


def test_the_floor_replies_to_each_command_and_message(floor):
    sock, refuses = floor
    envelope = (b"HELO a\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n")
    content = () if refuses else (MESSAGE, *envelope[1:], b".\r\n")
    expected = [b"220", b"250", b"250", b"250"]
    expected += [b"554"] if refuses else [b"354", b"250", b"250", b"250", b"354", b"250"]
    assert commands(sock, *envelope, *content, b"QUIT\r\n") == [*expected, b"221"]


@pytest.mark.parametrize("split", range(1, len(MESSAGE)))
def test_the_floor_finds_the_end_of_a_message_in_two_reads(split):
    protocol, transport = Floor(), io.BytesIO()
    protocol.connection_made(transport)
    protocol.data_received(b"DATA\r\n")
    protocol.data_received(MESSAGE[:split])
    assert transport.getvalue().endswith(b"<CR><LF>\r\n")
    protocol.data_received(MESSAGE[split:])
    assert transport.getvalue().endswith(b"250 2.0.0 Ok\r\n")


def test_a_round_ends_when_the_server_is_idle(monkeypatch):
    used = iter([1.0, 1.2, 1.4, 1.4, 9.0])
    monkeypatch.setattr(proc, "cpu_seconds", lambda _: next(used))
    monkeypatch.setattr(proc, "SETTLE", 0)
    assert proc.settled_cpu_seconds(1) == 1.4
