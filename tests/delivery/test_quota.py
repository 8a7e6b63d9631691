"""Quotas: refusals, counts, and the state after failures."""

import asyncio
import errno
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.contract import Contract
from tests.delivery.samples import delivery, message, recipient

from gatepost.delivery.maildir import quota as quota_module
from gatepost.delivery.maildir.count import count_usage
from gatepost.delivery.maildir.maildir import MaildirTarget
from gatepost.delivery.maildir.maildirsize import QuotaLimits, Usage, UsageFile, parse
from gatepost.delivery.maildir.quota import TRUSTED_FOR, OverQuotaError, Quota
from gatepost.delivery.target import DeliveryError
from gatepost.disk.names import UniqueNames

ROOT = Path(__file__).parents[2]
HOST = "mx.example.com"
TRACE = len("Return-Path: <sender@example.net>\r\n")
ANN, BOB = recipient("ann@example.com"), recipient("bob@example.com")
FULL = "452 4.2.2 Mailbox full, please try again later"
TOO_LARGE = "552 5.2.3 Message larger than the mailbox quota"


def maildir(base, octets=0, messages=0, **options):
    limits = QuotaLimits(octets, messages)
    return MaildirTarget("{local}", base=base, hostname=HOST, limits=limits, **options)


def deliver(target, *people, size=100):
    """Deliver a message that needs `size` octets on disk."""
    what = delivery(*people, of=message(b"x" * (size - TRACE)))
    return asyncio.run(target.deliver(what)) or {}


def replies(failures):
    return {str(one.address): str(error.reply) for one, error in failures.items()}


def record(root):
    return parse((root / "maildirsize").read_bytes())


def kept(root):
    return sorted(path for path in root.rglob("*") if path.parent.name in ("new", "cur"))


@pytest.fixture
def ann(tmp_path):
    return tmp_path / "ann"


@pytest.fixture
def names():
    return UniqueNames(HOST)


@pytest.fixture
def root(ann):
    """A Maildir with no messages and no `maildirsize`."""
    for name in ("tmp", "new", "cur"):
        (ann / name).mkdir(parents=True)
    return ann


class TestContract(Contract):
    """A quota changes nothing as long as there is room."""

    def target(self, base):
        return MaildirTarget(
            "mail/{domain}/{local}",
            base=base,
            hostname=HOST,
            limits=QuotaLimits(10**9, 1000),
        )

    def kept(self, base):
        paths = (path for path in base.rglob("*") if path.parent.name in ("tmp", "new"))
        found = [path.read_bytes() for path in sorted(paths)]
        return [content.partition(b"\r\n")[2] for content in found]


# --- refusals


def test_a_mailbox_accepts_messages_up_to_its_size(tmp_path, ann):
    target = maildir(tmp_path, octets=300)
    for _ in range(3):
        assert deliver(target, ANN, size=100) == {}
    assert replies(deliver(target, ANN, size=1 + TRACE)) == {"ann@example.com": FULL}
    assert count_usage(ann) == record(ann).usage == Usage(300, 3)


def test_a_mailbox_accepts_messages_up_to_their_number(tmp_path, ann):
    target = maildir(tmp_path, messages=2)
    assert [len(deliver(target, ANN)) for _ in range(4)] == [0, 0, 1, 1]
    assert record(ann).usage == Usage(200, 2)


def test_the_log_has_the_numbers_of_a_full_mailbox(tmp_path, ann):
    target = maildir(tmp_path, octets=150, messages=7)
    deliver(target, ANN)
    (error,) = deliver(target, ANN).values()
    assert not error.permanent
    assert error.answered  # the other mailboxes are still deliverable
    assert error.detail == (
        f"maildir: {ann} may hold 150S,7C, found 100 octets in 1 messages, 100 more do not fit"
    )


def test_a_message_larger_than_the_quota_is_refused_permanently(tmp_path, ann):
    (error,) = deliver(maildir(tmp_path, octets=1000), ANN, size=1001).values()
    assert error.permanent
    assert str(error.reply) == TOO_LARGE
    assert error.detail == f"maildir: {ann} may hold 1000S, found a message of 1001 octets"
    assert not (ann / "maildirsize").exists()  # no count was made


def test_other_recipients_get_their_mail(tmp_path, ann):
    target = maildir(tmp_path, messages=1)
    deliver(target, ANN)
    tagged = recipient("ann+x@example.com", "ann")
    failures = deliver(target, ANN, BOB, tagged)
    assert replies(failures) == {"ann@example.com": FULL, "ann+x@example.com": FULL}
    assert len(kept(ann)) == len(kept(tmp_path / "bob")) == 1


def test_recipients_of_one_folder_use_room_once(tmp_path, ann):
    target = maildir(tmp_path, messages=1)
    assert deliver(target, ANN, recipient("ann+x@example.com", "ann")) == {}
    (path,) = kept(ann)
    assert record(ann).usage == Usage(path.stat().st_size, 1)


def test_added_header_fields_count(tmp_path, ann):
    made = message(b"\r\nHello\r\n")
    made.add_header("X-Long", "x" * 100)
    asyncio.run(maildir(tmp_path, octets=1000).deliver(delivery(ANN, of=made)))
    (path,) = kept(ann)
    assert record(ann).usage.octets == path.stat().st_size
    assert path.name.endswith(f",S={path.stat().st_size}")


def test_names_have_the_size_without_a_quota(tmp_path, ann):
    deliver(MaildirTarget("{local}", base=tmp_path, hostname=HOST), ANN, size=123)
    (path,) = kept(ann)
    assert path.name.endswith(f".{HOST},S=123")
    assert not (ann / "maildirsize").exists()


def test_an_inner_folder_counts(tmp_path, ann):
    deliver(maildir(tmp_path, messages=2), ANN)
    junk = maildir(tmp_path, messages=2, inner=".Junk")
    assert [len(deliver(junk, ANN)) for _ in range(2)] == [0, 1]
    assert count_usage(ann) == record(ann).usage == Usage(200, 2)
    assert not (ann / ".Junk/maildirsize").exists()


def test_no_quota_for_a_folder_that_does_not_count(tmp_path):
    with pytest.raises(ValueError, match=r"expected no quota: Maildir\+\+ does not count \.Trash"):
        maildir(tmp_path, messages=1, inner=".Trash")
    maildir(tmp_path, inner=".Trash")


def test_a_full_disk_is_not_a_full_mailbox(tmp_path, ann, monkeypatch):
    target = maildir(tmp_path, messages=10)
    deliver(target, ANN)
    real = os.write

    def write(descriptor, octets):
        if octets == b"100 1\n":
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return real(descriptor, octets)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DeliveryError) as caught:
        deliver(target, ANN)
    assert caught.value.reply is None
    size = ann / "maildirsize"
    assert caught.value.detail == f"maildir: [Errno 122] Disk quota exceeded: '{size}'"


def test_a_partly_written_line_is_an_error(tmp_path, ann, monkeypatch):
    target = maildir(tmp_path, messages=10)
    deliver(target, ANN)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, octets: real(descriptor, octets[:3]))
        with pytest.raises(DeliveryError, match="No space left on device"):
            deliver(target, ANN)
    assert record(ann) is None
    assert deliver(target, ANN) == {}
    assert record(ann).usage == Usage(200, 2)


# --- counts

GARBAGE = {
    "absent": None,
    "empty": b"",
    "another definition": b"99S\n7 7\n",
    "no lines": b"1000S,10C\n",
    "not in the format": b"\xff\0 hello",
    "too long": b"1000S,10C\n" + b"0 0\n" * 1300,
    "over, with several lines": b"1000S,10C\n900 9\n100 1\n",
    "below nothing": b"1000S,10C\n-7 -7\n",
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_an_unusable_file_causes_a_count(tmp_path, root, content):
    (root / "cur/1.x:2,S").write_bytes(b"x" * 50)
    if content is not None:
        (root / "maildirsize").write_bytes(content)
    assert deliver(maildir(tmp_path, octets=1000, messages=10), ANN) == {}
    assert (root / "maildirsize").read_bytes() == b"1000S,10C\n50 1\n100 1\n"
    assert list((root / "tmp").iterdir()) == []


def test_an_old_count_without_room_is_not_trusted(tmp_path, root):
    path = root / "maildirsize"
    target = maildir(tmp_path, messages=10)
    path.write_bytes(b"10C\n1000 10\n")
    assert len(deliver(target, ANN)) == 1
    for age in (1.1 * TRUSTED_FOR, -1.1 * TRUSTED_FOR):  # a wrong clock makes no difference
        path.write_bytes(b"10C\n1000 10\n")
        os.utime(path, (time.time() - age, time.time() - age))
        assert deliver(target, ANN) == {}


def test_a_young_count_is_trusted(tmp_path, root, monkeypatch):
    """A full mailbox is not counted for every message."""
    target = maildir(tmp_path, messages=1)
    deliver(target, ANN)
    assert len(deliver(target, ANN)) == 1
    monkeypatch.setattr(quota_module, "count_usage", None)
    for _ in range(5):
        assert len(deliver(target, ANN)) == 1
    assert (root / "maildirsize").read_bytes() == b"1C\n100 1\n"


class Clock:
    """A clock of the test: a count takes two seconds."""

    def __init__(self):
        self.now = 1000.0
        self.counts = 0

    def monotonic(self):
        return self.now

    thread_time = monotonic

    def count(self, root):
        self.counts += 1
        self.now += 2.0
        return count_usage(root)


def test_a_large_mailbox_is_not_counted_for_every_message(tmp_path, ann, monkeypatch):
    """Messages that fit and that do not alternate, without another count."""
    clock = Clock()
    monkeypatch.setattr(quota_module, "time", clock)
    monkeypatch.setattr(quota_module, "count_usage", clock.count)
    target = maildir(tmp_path, octets=1000)
    deliver(target, ANN, size=100)
    for _ in range(3):
        assert len(deliver(target, ANN, size=950)) == 1
        assert deliver(target, ANN, size=100) == {}
    assert clock.counts == 1
    clock.now += 200.0
    assert len(deliver(target, ANN, size=950)) == 1
    assert clock.counts == 2
    assert record(ann).lines == 1


def test_memory_of_large_mailboxes_is_bounded(root, names, monkeypatch):
    monkeypatch.setattr(quota_module, "QUICK", -1.0)
    monkeypatch.setattr(quota_module, "MAX_REMEMBERED", 2)
    quota = Quota(QuotaLimits(0, 10), names)
    for number in range(5):
        other = root.with_name(f"box{number}")
        (other / "tmp").mkdir(parents=True)
        quota.reserve(other, 100)
        assert len(quota._trusted_until) <= 2


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_socket_or_link_is_replaced(tmp_path, root, make):
    make(root / "maildirsize")
    assert deliver(maildir(tmp_path, messages=10), ANN) == {}
    assert (root / "maildirsize").read_bytes() == b"10C\n0 0\n100 1\n"


def test_a_folder_in_place_of_the_file_defers_the_mail(tmp_path, root):
    (root / "maildirsize").mkdir()
    with pytest.raises(DeliveryError) as caught:
        deliver(maildir(tmp_path, messages=10), ANN)
    assert caught.value.detail == (f"maildir: [Errno 21] Is a directory: '{root / 'maildirsize'}'")
    assert kept(root) == []


def test_a_maildir_that_changes_while_it_is_counted_is_counted_again(root, names, monkeypatch):
    arrivals = iter([b"first", b"second"])

    def counted(path):
        usage = count_usage(path)
        if content := next(arrivals, b""):
            (root / "new" / content.decode()).write_bytes(content)
            os.utime(
                root / "new", ns=(0, len(content))
            )  # independent of the resolution of its clock
        return usage

    monkeypatch.setattr(quota_module, "count_usage", counted)
    Quota(QuotaLimits(0, 10), names).reserve(root, 100)
    assert (root / "maildirsize").read_bytes() == b"10C\n11 2\n100 1\n"


def test_a_maildir_that_keeps_changing_is_counted_a_few_times(root, names, monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(quota_module, "change_times", lambda path: next(ticks))
    Quota(QuotaLimits(0, 10), names).reserve(root, 100)
    assert (root / "maildirsize").read_bytes() == b"10C\n0 0\n100 1\n"


sizes = st.integers(TRACE, 400)
scribbles = st.sampled_from([one for one in GARBAGE.values() if one is not None]) | st.binary(
    max_size=20
)
steps = st.one_of(
    st.tuples(st.just("deliver"), sizes),
    st.tuples(st.sampled_from(["expunge", "remove", "drop"]), st.none()),
    st.tuples(st.just("scribble"), scribbles),
)


@given(st.lists(steps, max_size=15))
def test_other_programs_never_overfill_a_mailbox(steps):
    limits = QuotaLimits(1000, 5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ann"
        target = maildir(Path(folder), *limits)
        for step, argument in steps:
            take_step(target, root, step, argument)
            if root.exists():
                assert count_usage(root).within(limits)


def take_step(target, root, step, argument):
    path = root / "maildirsize"
    if step == "deliver":
        deliver(target, ANN, size=argument)
    elif step == "scribble" and root.exists():
        # our definition would be trusted, as another program's is
        path.write_bytes(argument if not argument.startswith(b"1000S") else b"99S\n1 1\n")
    elif step == "drop":
        path.unlink(missing_ok=True)
    for mail in kept(root)[:1] if step in ("expunge", "remove") else []:
        size = mail.stat().st_size
        mail.unlink()
        if step == "expunge" and path.exists():
            with path.open("ab") as file:
                file.write(Usage(-size, -1).line())


# --- undone deliveries


def test_an_undone_delivery_releases_its_room(tmp_path, ann):
    (tmp_path / "bob").touch()
    target = maildir(tmp_path, messages=10)
    deliver(target, ANN)
    with pytest.raises(DeliveryError, match="Expected a folder"):
        deliver(target, ANN, BOB)
    assert (ann / "maildirsize").read_bytes() == b"10C\n0 0\n100 1\n100 1\n-100 -1\n"
    assert len(kept(ann)) == 1


def test_room_that_cannot_be_released_is_named(tmp_path, ann, monkeypatch):
    target = maildir(tmp_path, messages=10)
    deliver(target, ANN)
    real = os.write

    def write(descriptor, octets):
        if octets.startswith(b"-"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, octets)

    def rename(self, place):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(DeliveryError) as caught:
        deliver(target, ANN)
    path = ann / "maildirsize"
    assert caught.value.detail == (
        "maildir: [Errno 30] Read-only file system;"
        f" not removed: [Errno 5] Input/output error: '{path}'"
    )


def test_room_dropped_by_a_count_is_not_released_again(root, names):
    quota = Quota(QuotaLimits(0, 10), names)
    reservation = quota.reserve(root, 100)
    with quota.counted(root):
        pass
    reservation.release()
    assert (root / "maildirsize").read_bytes() == b"10C\n0 0\n"


def test_a_message_missed_by_a_count_causes_another(root, names):
    quota = Quota(QuotaLimits(0, 10), names)
    reservation = quota.reserve(root, 100)
    with quota.counted(root):
        pass
    (root / "new/1.x,S=100").touch()
    reservation.keep()
    assert (root / "maildirsize").read_bytes() == b"10C\n100 1\n"


def test_a_counted_message_causes_no_other_count(root, names, monkeypatch):
    quota = Quota(QuotaLimits(0, 10), names)
    reservation = quota.reserve(root, 100)
    monkeypatch.setattr(quota_module, "count_usage", None)
    reservation.keep()
    assert (root / "maildirsize").read_bytes() == b"10C\n0 0\n100 1\n"


def test_a_failed_count_does_not_fail_the_delivery(root, names):
    reservation = Quota(QuotaLimits(0, 10), names).reserve(root, 100)
    (root / "maildirsize").unlink()
    (root / "maildirsize").mkdir()
    reservation.keep()


def test_any_failed_call_releases_the_room(tmp_path, monkeypatch):
    for nth in range(1, 1000):
        base = tmp_path / str(nth)
        target = maildir(base, octets=250)
        deliver(target, ANN)
        with monkeypatch.context() as patch:
            raised = failing(patch, nth, target)
        if raised is None:
            break
        assert raised.reply is None
        assert len(kept(base)) == 1
        assert deliver(target, ANN) == {}  # there is room for one more
        assert replies(deliver(target, ANN)) == {"ann@example.com": FULL}
    assert nth > 5


def failing(patch, nth, target):
    """Deliver with the nth of the calls failing; return the error."""
    calls = iter(range(1, nth))

    def wrap(real):
        def call(*args, **kwargs):
            if next(calls, None) is None:
                patch.undo()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return call

    for name in ("open", "write", "lseek", "fsync", "rename"):
        patch.setattr(os, name, wrap(getattr(os, name)))
    try:
        deliver(target, ANN, BOB)
    except DeliveryError as error:
        return error
    return None


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.delivery import test_quota as t
Path.rename = lambda self, place: os.kill(os.getpid(), signal.SIGKILL)
t.deliver(t.maildir(Path(sys.argv[1]), messages=2), t.ANN)
"""


def python(code, *arguments):
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
    )


def test_a_kill_leaves_room_reserved_until_the_next_count(tmp_path, ann):
    target = maildir(tmp_path, messages=2)
    deliver(target, ANN)
    assert python(KILLED, tmp_path).wait() == -9
    assert record(ann).usage == Usage(200, 2)
    assert deliver(target, ANN) == {}  # it seemed full and was counted
    assert record(ann).usage == Usage(200, 2)
    assert len(kept(ann)) == 2


def test_a_power_cut_causes_a_count(make_disk):
    own = make_disk(16)
    target = maildir(own.root, messages=3)
    for _ in range(3):
        assert deliver(target, ANN) == {}
    own.cut()
    own.restore()
    root = own.root / "ann"
    assert len(kept(root)) == 3
    assert replies(deliver(maildir(own.root, messages=3), ANN)) == {"ann@example.com": FULL}
    assert record(root).usage == Usage(300, 3)


def test_a_disk_without_room_for_a_line(make_disk):
    own = make_disk(16)
    target = maildir(own.root, messages=10)
    deliver(target, ANN)
    with own.full(), pytest.raises(DeliveryError) as caught:
        deliver(target, ANN, BOB)
    assert caught.value.reply is None
    assert "No space left on device" in caught.value.detail
    assert len(kept(own.root)) == 1
    assert deliver(target, ANN) == {}
    assert count_usage(own.root / "ann") == Usage(200, 2)


# --- races


def reserved(quota, root):
    try:
        return quota.reserve(root, 100)
    except OverQuotaError:
        return None


def test_one_of_two_racing_deliveries_gets_the_last_place(root, names, monkeypatch):
    """Both see that there is room before either reserves it."""
    (root / "maildirsize").write_bytes(b"10C\n900 9\n")
    both = threading.Barrier(2)
    real = UsageFile.append

    def append(self, change):
        if change.messages > 0:
            both.wait()
        return real(self, change)

    monkeypatch.setattr(UsageFile, "append", append)
    quota = Quota(QuotaLimits(0, 10), names)
    with ThreadPoolExecutor(2) as pool:
        racers = [pool.submit(reserved, quota, root) for _ in range(2)]
        results = [racer.result() for racer in racers]
    assert sum(one is not None for one in results) == 1
    assert record(root).usage == Usage(1000, 10)


def test_racing_deliveries_to_an_uncounted_maildir(tmp_path, ann):
    """Each delivery during the count of another may be one too many."""
    racers, limit = 4, 5

    async def race(target):
        whats = [delivery(ANN, of=message(b"%d" % number)) for number in range(20)]
        return await asyncio.gather(*map(target.deliver, whats))

    with ThreadPoolExecutor(racers) as pool:
        results = asyncio.run(race(maildir(tmp_path, messages=limit, executor=pool)))
    assert limit <= len(kept(ann)) <= limit + racers - 1
    assert len(list(filter(None, results))) == 20 - len(kept(ann))


RACING = """
import sys
from pathlib import Path
from tests.delivery import test_quota as t
target = t.maildir(Path(sys.argv[1]), messages=10)
failed = sum(len(t.deliver(target, t.ANN)) for _ in range(10))
sys.exit(failed)
"""


def test_racing_processes_keep_the_quota(tmp_path, ann):
    processes = [python(RACING, tmp_path) for _ in range(3)]
    failed = sum(process.wait() for process in processes)
    assert 10 <= len(kept(ann)) <= 12
    assert failed == 30 - len(kept(ann))


# --- without a quota


def test_no_quota_reads_and_writes_nothing(tmp_path, ann, monkeypatch):
    target = MaildirTarget("{local}", base=tmp_path, hostname=HOST)
    deliver(target, ANN)
    opened, real = [], os.open

    def watched(path, *args, **kwargs):
        opened.append(Path(path).name)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr(UniqueNames, "next", lambda self: "name")
    deliver(target, ANN)
    assert opened == ["name", "new"]
