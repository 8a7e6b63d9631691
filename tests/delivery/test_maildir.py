"""Delivery to Maildirs, and the state after failures."""

import asyncio
import errno
import mailbox
import os
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.delivery.contract import Contract
from tests.delivery.samples import NULL_PATH, delivery, message, recipient

from gatepost.delivery.maildir.maildir import MaildirTarget
from gatepost.delivery.target import DeliveryError
from gatepost.disk import durable
from gatepost.disk.durable import DurableFolders
from gatepost.disk.names import MAX_HOST, UniqueNames
from gatepost.model.address import Address
from gatepost.model.session import Recipient

HOST = "mx.example.com"
TEMPLATE = "mail/{domain}/{local}"
TRACE = b"Return-Path: <sender@example.net>\r\n"
CLIENT_TEXT = "The message could not be stored, please try again later"


def maildir(base, template=TEMPLATE, **options):
    return MaildirTarget(template, base=base, hostname=HOST, **options)


def deliver(target, what):
    asyncio.run(target.deliver(what))


def files(base):
    return sorted(path for path in base.rglob("*") if path.is_file())


def contents(base):
    return [path.read_bytes() for path in files(base)]


def failure(target, what):
    with pytest.raises(DeliveryError) as caught:
        deliver(target, what)
    assert caught.value.text == CLIENT_TEXT
    assert not caught.value.permanent
    return caught.value.detail


class TestContract(Contract):
    def target(self, base):
        return maildir(base)

    def kept(self, base):
        found = contents(base)
        assert all(re.match(rb"Return-Path: <.*>\r\n", content) for content in found)
        return [content.partition(b"\r\n")[2] for content in found]


# --- content


@given(st.binary(max_size=2000), st.integers(0, 1500))
@example(b"\r\n.\r\n\r\n", 0)
def test_any_octets_are_kept(content, threshold):
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with message(content, threshold) as made:
            deliver(maildir(base), delivery(recipient("a@example.com"), of=made))
        assert contents(base) == [TRACE + content]


def test_added_header_fields_follow_the_return_path(tmp_path):
    made = message(b"Subject: x\r\n\r\n")
    made.add_header("Received", "first")
    made.add_header("X-Later", "second")
    deliver(maildir(tmp_path), delivery(recipient("a@example.com"), of=made))
    expected = b"X-Later: second\r\nReceived: first\r\nSubject: x\r\n\r\n"
    assert contents(tmp_path) == [TRACE + expected]


def test_a_large_message_is_read_from_its_file(tmp_path):
    content = os.urandom(1_000_003)
    with message(content, 1000) as made:
        people = recipient("a@example.com"), recipient("b@example.com")
        deliver(maildir(tmp_path), delivery(*people, of=made))
    assert contents(tmp_path) == [TRACE + content] * 2


@pytest.mark.parametrize(
    ("sender", "field"),
    [
        (NULL_PATH, "Return-Path: <>\r\n"),
        (Address.parse("josé@bücher.example"), "Return-Path: <josé@bücher.example>\r\n"),
        (Address.parse('"a b"@example.net'), 'Return-Path: <"a b"@example.net>\r\n'),
    ],
)
def test_return_path_is_the_first_field(tmp_path, sender, field):
    what = delivery(recipient("a@example.com"), of=message(b"x\r\n"), sender=sender)
    deliver(maildir(tmp_path), what)
    assert contents(tmp_path) == [field.encode() + b"x\r\n"]


def test_a_copy_names_the_recipients_with_a_tag(tmp_path):
    people = (
        recipient("Alice+Shop@example.com", "alice"),
        recipient("alice@example.com"),
        recipient('"alice+a b"@example.com', "alice"),
        recipient("Bob@example.com", "bob"),
        recipient("carol@example.com", ""),
    )
    deliver(maildir(tmp_path), delivery(*people, of=message(b"x\r\n")))
    fields = b'X-Original-To: Alice+Shop@example.com\r\nX-Original-To: "alice+a b"@example.com\r\n'
    assert contents(tmp_path) == [TRACE + fields + b"x\r\n", TRACE + b"x\r\n", TRACE + b"x\r\n"]
    assert all(f",S={path.stat().st_size}" in path.name for path in files(tmp_path))


def test_a_recipient_with_control_characters_is_not_named(tmp_path):
    person = Recipient(Address("a+x\r\nEvil: y", "example.com"), {}, "a")
    deliver(maildir(tmp_path), delivery(person, of=message(b"x\r\n")))
    assert contents(tmp_path) == [TRACE + b"x\r\n"]


@pytest.mark.parametrize("threshold", [0, 1_000_000])
@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (b"Return-Path: <x@y>\r\nA: 1\r\n\r\nb\r\n", b"A: 1\r\n\r\nb\r\n"),
        (b"A: 1\r\nRETURN-path :\r\n <x@y>\r\nB: 2\r\n\r\nb", b"A: 1\r\nB: 2\r\n\r\nb"),
        (b"A: 1\r\nReturn-Path: a\r\n\r\nb\r\n", b"A: 1\r\n\r\nb\r\n"),
        (b"Return-Path: a\r\nReturn-Path: b\r\n\r\nb", b"\r\nb"),
        (b"A: 1\r\nReturn-Path: a\r\n", b"A: 1\r\n"),
        (b"A: 1\r\n\r\nReturn-Path: a\r\n", b"A: 1\r\n\r\nReturn-Path: a\r\n"),
        (b"A: 1\r\n Return-Path: a\r\n\r\n", b"A: 1\r\n Return-Path: a\r\n\r\n"),
        (b"Return-Path-X: 1\r\n\r\nb\r\n", b"Return-Path-X: 1\r\n\r\nb\r\n"),
    ],
)
def test_a_return_path_of_the_client_is_removed(tmp_path, content, stored, threshold):
    with message(content, threshold) as made:
        made.add_header("Received", "x")
        deliver(maildir(tmp_path), delivery(recipient("a@example.com"), of=made))
    assert contents(tmp_path) == [TRACE + b"Received: x\r\n" + stored]
    (path,) = (tmp_path / "mail/example.com/a/new").iterdir()
    assert path.name.endswith(f",S={path.stat().st_size}")


def test_an_incomplete_message_without_its_return_path_is_not_stored(tmp_path):
    made = message(b"Return-Path: <x@y>\r\n\r\nb\r\n")
    made._size += 1
    assert "octets of message" in failure(maildir(tmp_path), delivery(recipient("a@b"), of=made))
    assert files(tmp_path) == []


@pytest.mark.parametrize("local", ["x\r\nEvil: y", "a\0b", "\ud800", "x\n"])
def test_a_return_path_with_control_characters_is_refused(tmp_path, local):
    what = delivery(recipient("a@example.com"), sender=Address(local, "example.net"))
    detail = failure(maildir(tmp_path), what)
    assert detail.startswith("maildir: expected a reverse-path without control characters, found")
    assert files(tmp_path) == []


def test_the_standard_library_reads_the_maildir(tmp_path):
    deliver(maildir(tmp_path), delivery(recipient("a@example.com")))
    box = mailbox.Maildir(tmp_path / "mail/example.com/a", create=False)
    [read] = list(box)
    assert (read["Subject"], read["Return-Path"]) == ("x", "<sender@example.net>")
    assert read.get_subdir() == "new"


def test_the_three_folders_and_their_modes(tmp_path):
    deliver(maildir(tmp_path), delivery(recipient("a@example.com")))
    folder = tmp_path / "mail/example.com/a"
    assert sorted(path.name for path in folder.iterdir()) == ["cur", "new", "tmp"]
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700}
    assert [path.stat().st_mode & 0o777 for path in files(folder / "new")] == [0o600]


@pytest.mark.parametrize(
    ("person", "folder"),
    [
        (recipient("Alice@EXAMPLE.com"), "example.com/alice"),
        (recipient("alice+tag@example.com", user="alice"), "example.com/alice"),
        (recipient("Alice@example.com", user=""), "example.com/alice"),
        (recipient("Postmaster"), "mx.example.com/postmaster"),
        (recipient("a@bücher.example"), "xn--bcher-kva.example/a"),
        (recipient("a@[192.0.2.1]"), "%5b192.0.2.1%5d/a"),
        (recipient('"../../etc"@example.com'), "example.com/%2e.%2f..%2fetc"),
        (recipient('".."@example.com'), "example.com/%2e."),
        (recipient('""@example.com'), "example.com/%"),
    ],
)
def test_folders_come_from_the_template(tmp_path, person, folder):
    target = maildir(tmp_path)
    assert target.folder(person) == tmp_path / "mail" / folder
    deliver(target, delivery(person))
    assert [path.parent for path in files(tmp_path)] == [tmp_path / "mail" / folder / "new"]


def test_recipients_of_one_folder_share_a_copy(tmp_path):
    people = recipient("a@example.com"), recipient("a+x@example.com", "a"), recipient("b@x.example")
    deliver(maildir(tmp_path), delivery(*people))
    places = [path.parents[1].relative_to(tmp_path / "mail").as_posix() for path in files(tmp_path)]
    assert places == ["example.com/a", "x.example/b"]


def test_concurrent_deliveries_to_one_folder(tmp_path):
    target = maildir(tmp_path)

    async def all_at_once():
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                made = message(b"%d" % number)
                group.create_task(target.deliver(delivery(recipient("a@example.com"), of=made)))

    asyncio.run(all_at_once())
    assert {*contents(tmp_path)} == {TRACE + b"%d" % number for number in range(50)}


def test_a_removed_folder_is_created_again(tmp_path):
    target = maildir(tmp_path)
    deliver(target, delivery(recipient("a@example.com")))
    (tmp_path / "mail").rename(tmp_path / "away")
    deliver(target, delivery(recipient("a@example.com")))
    assert len(files(tmp_path / "mail/example.com/a/new")) == 1


def test_a_given_executor_does_the_work(tmp_path):
    with ThreadPoolExecutor(1, thread_name_prefix="disk") as executor:
        seen = []
        target = maildir(tmp_path, executor=executor)
        made = message()
        original = type(made).__iter__

        class Watched(type(made)):
            def __iter__(self):
                seen.append(threading.current_thread().name)
                return original(self)

        watched = Watched(100)
        deliver(target, delivery(recipient("a@example.com"), of=watched))
    assert set(seen) == {"disk_0"}


# --- the inner folder


def junk(base):
    return base / "mail/example.com/a/.Junk"


def test_the_inner_folder_is_created_with_its_mark(tmp_path):
    target = maildir(tmp_path, inner=".Junk")
    deliver(target, delivery(recipient("a@example.com")))
    deliver(target, delivery(recipient("a@example.com")))
    assert sorted(path.name for path in junk(tmp_path).iterdir()) == [
        "cur",
        "maildirfolder",
        "new",
        "tmp",
    ]
    mark = junk(tmp_path) / "maildirfolder"
    assert (mark.read_bytes(), mark.stat().st_mode & 0o777) == (b"", 0o600)
    assert len(files(junk(tmp_path) / "new")) == 2
    # the Maildir around it is complete, otherwise no mail reader accepts it
    assert sorted(path.name for path in junk(tmp_path).parent.iterdir()) == [
        ".Junk",
        "cur",
        "new",
        "tmp",
    ]
    assert files(junk(tmp_path).parent / "new") == []


def test_the_standard_library_finds_the_folder(tmp_path):
    deliver(maildir(tmp_path, inner=".Lists.python"), delivery(recipient("a@example.com")))
    box = mailbox.Maildir(tmp_path / "mail/example.com/a", create=False)
    assert box.list_folders() == ["Lists.python"]
    assert len(box.get_folder("Lists.python")) == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc/self/fd")
def test_the_mark_of_the_folder_is_durable(tmp_path, monkeypatch):
    synced_paths = []
    real = os.fsync

    def fsync(descriptor):
        synced_paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    target = maildir(tmp_path, inner=".Junk")
    deliver(target, delivery(recipient("a@example.com")))
    (junk(tmp_path) / "maildirfolder").unlink()
    monkeypatch.setattr(os, "fsync", fsync)
    deliver(target, delivery(recipient("a@example.com")))
    assert synced_paths[:2] == [junk(tmp_path) / "maildirfolder", junk(tmp_path)]


def test_any_failed_call_leaves_no_mail_in_the_folder(tmp_path, monkeypatch):
    for nth in range(1, 1000):
        base = tmp_path / str(nth)
        base.mkdir()
        with monkeypatch.context() as patch:
            Failing(patch, ["mkdir", "open", "fsync", "rename"], nth)
            raised = outcome(maildir(base, inner=".Junk"), delivery(recipient("a@example.com")))
        if raised is None:
            break
        assert os.strerror(errno.ENOSPC) in raised.detail
        assert [path.name for path in files(base)] in ([], ["maildirfolder"])
    assert nth > 10


# --- names


def test_names_are_unique():
    names = UniqueNames("mx/1:a.example")
    made = [names.next() for _ in range(1000)]
    assert len({*made}) == 1000
    shape = rf"\d+\.M\d{{1,6}}P{os.getpid()}Q\d+R[0-9a-f]{{16}}\.mx\\0571\\072a\.example"
    assert all(re.fullmatch(shape, name) for name in made)


def test_a_long_host_name_is_cut():
    assert UniqueNames("h" * 300).next().rpartition(".")[2] == "h" * MAX_HOST


# --- failures


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "mail").write_text("x")
    detail = failure(maildir(tmp_path), delivery(recipient("a@example.com")))
    assert detail == f"maildir: [Errno 20] Expected a folder: '{tmp_path}/mail'"
    assert contents(tmp_path) == [b"x"]


def test_a_failed_recipient_removes_all_copies(tmp_path):
    (tmp_path / "mail/example.com").mkdir(parents=True)
    (tmp_path / "mail/example.com/c").touch()
    people = [recipient(f"{name}@example.com") for name in "abc"]
    detail = failure(maildir(tmp_path), delivery(*people))
    assert detail == f"maildir: [Errno 20] Expected a folder: '{tmp_path}/mail/example.com/c'"
    assert files(tmp_path) == [tmp_path / "mail/example.com/c"]


def test_a_message_closed_too_early_is_not_delivered_short(tmp_path):
    made = message(b"0123456789")
    made.close()
    detail = failure(maildir(tmp_path), delivery(recipient("a@example.com"), of=made))
    assert detail == "expected 10 octets of message, found 0"
    assert files(tmp_path) == []


def outcome(target, what):
    try:
        deliver(target, what)
    except DeliveryError as error:
        return error
    return None


class Failing:
    """Fails the nth of the watched calls."""

    def __init__(self, monkeypatch, names, nth, error=errno.ENOSPC):
        self.nth, self.error, self.calls = nth, error, 0
        for name in names:
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, real):
        def call(*args, **kwargs):
            self.calls += 1
            if self.calls == self.nth:
                raise OSError(self.error, os.strerror(self.error))
            return real(*args, **kwargs)

        return call


# Folders for two recipients: 9 made (mail, example.com, a, b and their three), each fsynced, and
# every folder above them; files: 2 fsyncs, 2 renames, 2 fsyncs of new/.
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_any_failed_call_leaves_nothing(tmp_path, monkeypatch, error):
    people = recipient("a@example.com"), recipient("b@example.com")
    for nth in range(1, 1000):
        base = tmp_path / str(nth)
        base.mkdir()
        with monkeypatch.context() as patch:
            failing = Failing(patch, ["mkdir", "fsync", "rename"], nth, error)
            raised = outcome(maildir(base), delivery(*people))
        if raised is None:
            break
        assert os.strerror(error) in raised.detail
        assert "not removed" not in raised.detail
        assert files(base) == []
    assert len(files(base)) == 2
    assert failing.calls == nth - 1
    assert nth > 10 + 10 + 2 + 2 + 2


def test_a_failed_write_names_the_file(tmp_path, monkeypatch):
    folder = tmp_path / "mail/example.com/a"
    target = maildir(tmp_path)
    deliver(target, delivery(recipient("a@example.com"), of=message(b"earlier")))
    Failing(monkeypatch, ["fsync"], 1)
    detail = failure(target, delivery(recipient("a@example.com")))
    start = re.escape(f"maildir: [Errno 28] No space left on device: '{folder}/tmp/")
    assert re.fullmatch(rf"{start}[^/]+'", detail)
    assert contents(tmp_path) == [TRACE + b"earlier"]


def test_an_existing_name_is_never_overwritten(tmp_path, monkeypatch):
    target = maildir(tmp_path)
    monkeypatch.setattr(UniqueNames, "next", lambda self: "same")
    taken = tmp_path / "mail/example.com/a/tmp/same"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"another's")
    detail = failure(target, delivery(recipient("a@example.com")))
    assert detail == f"maildir: [Errno 17] File exists: '{taken}'"
    assert contents(tmp_path) == [b"another's"]


def test_copies_that_cannot_be_removed_are_named(tmp_path, monkeypatch):
    target = maildir(tmp_path)
    monkeypatch.setattr(UniqueNames, "next", lambda self: "same")
    Failing(monkeypatch, ["rename"], 1, errno.EIO)
    Failing(monkeypatch, ["unlink"], 1, errno.EROFS)
    detail = failure(target, delivery(recipient("a@example.com")))
    assert detail == (
        "maildir: [Errno 5] Input/output error; not removed: [Errno 30] Read-only file system"
    )


def test_a_read_error_of_the_message_removes_copies_and_is_raised(tmp_path):
    made = message(b"x" * 1000, 10)
    made._file.close()
    with pytest.raises(ValueError, match="closed file"):
        deliver(maildir(tmp_path), delivery(recipient("a@example.com"), of=made))
    assert files(tmp_path) == []
    made.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_missing_permission_is_an_error(tmp_path):
    (tmp_path / "mail").mkdir(mode=0o500)
    detail = failure(maildir(tmp_path), delivery(recipient("a@example.com")))
    assert detail == f"maildir: [Errno 13] Permission denied: '{tmp_path}/mail/example.com'"


# --- cancelled


def cancel_when(target, what, reached, proceed):
    """Cancel the delivery, twice, once its thread has `reached`; then let it `proceed`."""

    async def run():
        task = asyncio.create_task(target.deliver(what))
        await asyncio.to_thread(reached.wait)
        try:
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0)
            assert not task.done()
        finally:
            proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


@pytest.mark.parametrize(("call", "left"), [("fsync", 0), ("rename", 1)])
def test_a_cancelled_delivery_is_undone_until_it_moves_files(tmp_path, monkeypatch, call, left):
    reached, proceed = threading.Event(), threading.Event()
    real = getattr(os, call)

    def held(*args, **kwargs):
        reached.set()
        proceed.wait()
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, held)
    cancel_when(maildir(tmp_path), delivery(recipient("a@example.com")), reached, proceed)
    assert len(files(tmp_path)) == left


# --- folders


def test_memory_of_folders_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "MAX_REMEMBERED", 20)
    folders = DurableFolders()
    for number in range(100):
        folders.ensure(tmp_path / str(number))
        assert len(folders._durable) <= 20
    assert len(list(tmp_path.iterdir())) == 100


def synced(monkeypatch, action):
    paths = []
    real = durable.sync_folder
    with monkeypatch.context() as patch:
        patch.setattr(durable, "sync_folder", lambda path: (paths.append(path), real(path)))
        action()
    return paths


def test_an_existing_folder_is_fsynced_once(tmp_path, monkeypatch):
    (tmp_path / "found").mkdir()
    folders = DurableFolders()
    folders.ensure(tmp_path)
    leaf = tmp_path / "found/made"
    assert synced(monkeypatch, lambda: folders.ensure(leaf)) == [tmp_path, tmp_path / "found"]
    assert synced(monkeypatch, lambda: folders.ensure(leaf)) == []


def refuse(path):
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_an_unreadable_parent_matters_only_for_a_new_folder(tmp_path, monkeypatch):
    (tmp_path / "found").mkdir()
    monkeypatch.setattr(durable, "sync_folder", refuse)
    DurableFolders().ensure(tmp_path / "found")
    with pytest.raises(PermissionError):
        DurableFolders().ensure(tmp_path / "made")


def test_another_process_creates_the_folder_first(tmp_path, monkeypatch):
    real = os.mkdir

    def slower(path, mode=0o777):
        real(path, mode)
        raise FileExistsError(errno.EEXIST, "File exists", str(path))

    monkeypatch.setattr(os, "mkdir", slower)
    DurableFolders().ensure(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
