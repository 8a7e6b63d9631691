"""The queue loses no message accepted with 250, in any way the server ends."""

import contextlib
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import GATEPOST, eventually
from tests.e2e.streams import BOXES, MOST, SENDERS, Killer, Stream, content

QUEUE = 'mode = "queue"'
STRACE = shutil.which("strace")


@pytest.fixture
def queueing(tmp_path):
    with serving(tmp_path, route=QUEUE) as running:
        yield running


def arrived(server, box):
    return [mail.content for mail in server.mails(box)]


def queue(server, *arguments):
    command = [GATEPOST, "queue", *arguments, "-c", server.folder / "gatepost.toml"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("after", [1, 2, 50, 51, 150])
def test_a_kill_loses_no_accepted_message(queueing, after):
    killer = Killer(queueing, after)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(SENDERS) as pool:
        clients = [stack.enter_context(Raw(queueing.port)) for _ in range(SENDERS)]
        streams = [Stream(client, number, killer) for number, client in enumerate(clients)]
        for done in [pool.submit(stream.run) for stream in streams]:
            done.result()
    assert queueing.process.returncode == -signal.SIGKILL
    accepted = {content(token) for stream in streams for token in stream.accepted}
    assert after <= len(accepted) < SENDERS * MOST
    queueing.start()
    for box in BOXES:
        eventually(lambda box=box: accepted <= set(arrived(queueing, box)))
        # A message without a reply may have arrived completely, one on each connection.
        assert len(set(arrived(queueing, box))) <= len(accepted) + SENDERS
    eventually(lambda: queue(queueing, "list") == "Mail queue is empty\n")


def send(client, box, octets):
    assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
    client.send(stuffed(octets))
    assert client.reply()[:3] == "250"


def test_a_stop_and_a_start_lose_nothing(queueing):
    box = queueing.address()
    with Raw(queueing.port) as client:
        for number in range(50):
            send(client, box, content(str(number)))
    queueing.stop()
    queueing.start()
    eventually(lambda: len(arrived(queueing, box)) >= 50)
    assert set(arrived(queueing, box)) == {content(str(number)) for number in range(50)}


def test_a_reload_with_fewer_workers_leaves_no_mail_behind(tmp_path):
    blocked = tmp_path / "mail"
    blocked.touch()
    extra = '\n[queue]\nretry = ["1s"]\n'
    with serving(tmp_path, extra, route=QUEUE) as server:
        config = tmp_path / "gatepost.toml"
        for number in range(3):
            with Raw(server.port) as client:
                send(client, "one@open.example", content(str(number)))
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda n=number: (tmp_path / "log").read_text().count("reloaded") > n)
        assert config.exists()
        blocked.unlink()
        eventually(lambda: len(set(arrived(server, "one@open.example"))) == 3)
        eventually(lambda: queue(server, "list") == "Mail queue is empty\n")


CALL = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. )?(?P<name>\w+)(?P<rest>[( ].*)")


def calls(trace):
    """Yield (name, arguments) of each completed call, and of each write when it starts."""
    open_calls = {}
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        key, rest = (match["pid"], match["name"]), match["rest"]
        if rest.endswith("<unfinished ...>"):
            open_calls[key] = rest
            if "250 2.0.0 Ok" in rest:
                yield match["name"], rest
        elif "resumed>" in rest:
            if "250 2.0.0 Ok" not in open_calls.get(key, ""):
                yield match["name"], open_calls.pop(key, "") + rest
        else:
            yield match["name"], rest


def steps(trace):
    """Yield the write of a message to the journal, its sync, and the reply, in their order.

    A write to a file that was opened with O_DSYNC returns after its sync.
    """
    synced = set()
    for name, rest in calls(trace):
        file = re.search(r"[^/]*\.db-(?:wal|log)(?=>)", rest)
        if name == "openat" and file and "O_DSYNC" in rest:
            synced.add(file[0])
        elif name == "pwrite64" and file:  # a page may have several messages
            yield from (f"write {token}" for token in re.findall(r"Subject: token-(\d+)", rest))
            if file[0] in synced:
                yield "sync"
        elif name in ("fsync", "fdatasync") and file and rest.endswith("= 0"):
            yield "sync"
        elif '"250 2.0.0 Ok' in rest and "socket:" in rest:
            yield "reply"


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_each_reply_follows_the_sync_of_its_message(tmp_path):
    probe = subprocess.run([STRACE, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("strace is not permitted here")
    log = tmp_path / "trace"
    names = "trace=openat,pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg"
    tracer = [STRACE, "-D", "-f", "-y", "-s", "5000", "-e", names, "-o", str(log)]
    count = 10
    with serving(tmp_path, route=QUEUE, tracer=tracer) as server, Raw(server.port) as client:
        for number in range(count):
            send(client, "one@open.example", b"Subject: token-%d\r\n\r\n" % number)
    end = re.compile(rf"^{server.process.pid} +\+\+\+ ", re.MULTILINE)  # exited, or was killed
    eventually(lambda: end.search(log.read_text()))
    found = list(steps(log.read_text()))
    replies = [at for at, step in enumerate(found) if step == "reply"]
    assert len(replies) == count
    for number, reply in enumerate(replies):
        written = found.index(f"write {number}")
        assert "sync" in found[written:reply], (number, found)
