"""The file `maildirsize`: its format, and hostile files."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.delivery.maildir.maildirsize import (
    MAX_OCTETS,
    QuotaLimits,
    Usage,
    UsageLine,
    UsageRecord,
    opened,
    parse,
    rewritten,
)

LIMITS = QuotaLimits(1000, 10)
GOOD = b"1000S,10C\n100 2\n-50 -1\n"

# --- the format


@pytest.mark.parametrize(
    ("content", "contents"),
    [
        (GOOD, UsageRecord(LIMITS, Usage(50, 1), 2)),
        (b"10C,1000S\n0 0\n", UsageRecord(LIMITS, Usage(0, 0), 1)),
        (b"1000S\n7 1\n", UsageRecord(QuotaLimits(1000, 0), Usage(7, 1), 1)),
        (b"10C\n7 1\n", UsageRecord(QuotaLimits(0, 10), Usage(7, 1), 1)),
        # as Dovecot writes it without a limit of one kind
        (b"0S,10C\n7 1\n", UsageRecord(QuotaLimits(0, 10), Usage(7, 1), 1)),
        # as Courier pads it
        (
            b"1000S\n         100            1\n",
            UsageRecord(QuotaLimits(1000, 0), Usage(100, 1), 1),
        ),
    ],
)
def test_files_are_parsed(content, contents):
    assert parse(content) == contents


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"1000S,10C",
        b"1000S,10C\n",  # no count yet
        b"1000S,10C\n100 2",  # the next line would be appended to this one
        b"1000S,10C\n100 2\n50",
        b"1000S,10C\n100\n",
        b"1000S,10C\n100 2 3\n",
        b"1000S,10C\n\n100 2\n",
        b"1000S,10C\n100 x\n",
        b"1000S,10C\n1e3 2\n",
        b"1000S,10C\n100 \xb2\n",
        b"1000S,10C\n100 2\0\n",
        b"1000S,10C\n-1 2\n",
        b"1000S,10C\n1 -2\n",
        b"1000S,10C\n" + b"9" * 19 + b" 1\n",
        b"NOQUOTA\n100 2\n",
        b"1000X\n100 2\n",
        b"1000\n100 2\n",
        b"-1S\n100 2\n",
        b"1000S,\n100 2\n",
        b"9" * 19 + b"S\n100 2\n",
        b"1000S,10C\n" + b"1 1\n" * 2000,
    ],
)
def test_files_in_another_format_are_unusable(content):
    assert parse(content) is None


numbers = st.integers(-(10**18) + 1, 10**18 - 1)
limits = st.builds(QuotaLimits, st.integers(0, 10**18 - 1), st.integers(1, 10**18 - 1))


@given(limits, st.lists(st.builds(Usage, numbers, numbers), min_size=1, max_size=50))
def test_a_written_file_is_parsed(limits, changes):
    content = limits.definition() + b"\n" + b"".join(change.line() for change in changes)
    usage = Usage(sum(one.octets for one in changes), sum(one.messages for one in changes))
    expected = UsageRecord(limits, usage, len(changes)) if min(usage) >= 0 else None
    assert parse(content) == expected


pieces = st.sampled_from([b"0", b"17", b"-", b" ", b"\t", b"\n", b"S", b"C", b",", b"\r", b"\0"])


@given(st.binary(max_size=MAX_OCTETS + 10) | st.lists(pieces, max_size=40).map(b"".join))
@example(b"1S\n" + b" " * 5000 + b"\n")
@example(b"1S\n" + b"1 " * 2500)
def test_any_octets_are_parsed_or_unusable(content):
    found = parse(content)
    if found is not None:
        assert min(found.usage) >= 0
        assert found.lines >= 1
        more = parse(content + Usage(5, 1).line())
        if len(content) + 4 < MAX_OCTETS:
            assert more.usage == found.usage.plus(Usage(5, 1))


@given(st.integers(0, 20), st.integers(0, 20), limits)
def test_usage_within_limits(octets, messages, limits):
    fits = Usage(octets, messages).within(limits)
    assert fits == ((octets <= limits.octets or limits.octets == 0) and messages <= limits.messages)


# --- the file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "maildirsize"


def is_usable(path):
    with opened(path) as file:
        return file is not None and file.record is not None


def test_an_open_file_has_its_content_and_age(path):
    path.write_bytes(GOOD)
    os.utime(path, (1000, 1000))
    with opened(path) as file:
        assert file.record == parse(GOOD)
        assert file.age > 1_000_000_000


def test_lines_of_several_writers_are_appended(path):
    path.write_bytes(GOOD)
    with opened(path) as one, opened(path) as other:
        first = one.append(Usage(10, 1))
        second = other.append(Usage(20, 1))
        assert path.read_bytes() == GOOD + b"10 1\n20 1\n"
        assert one.before(first).usage == Usage(50, 1)
        assert other.before(second).usage == Usage(60, 2)
        assert one.contains(first)
        assert one.contains(second)


def test_a_rewritten_file_does_not_contain_an_old_line(path, tmp_path):
    path.write_bytes(GOOD)
    with opened(path) as old:
        line = old.append(Usage(10, 1))
        with rewritten(path, tmp_path / "draft", LIMITS, Usage(60, 2)) as new:
            assert old.contains(line)
            assert not new.contains(line)
    path.unlink()
    path.write_bytes(GOOD)
    with opened(path) as file:  # an inode may be used again
        again = file.append(Usage(10, 1))
        assert file.contains(again)
        assert not file.contains(UsageLine(again.inode, again.start + 1, again.text))


def test_a_rewritten_file(path, tmp_path):
    path.symlink_to("elsewhere")
    with rewritten(path, tmp_path / "draft", LIMITS, Usage(60, 2)) as file:
        file.append(Usage(-10, -1))
    assert path.read_bytes() == b"1000S,10C\n60 2\n-10 -1\n"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_cannot_be_moved_is_removed(path, tmp_path):
    path.mkdir()
    with pytest.raises(IsADirectoryError), rewritten(path, tmp_path / "draft", LIMITS, Usage(1, 1)):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_an_error_with_its_path(path):
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught, opened(path):
        pass
    assert caught.value.filename == str(path)


def test_an_absent_file_is_unusable(path):
    assert not is_usable(path)


def test_a_symbolic_link_is_not_followed(path, tmp_path):
    (tmp_path / "victim").write_bytes(GOOD)
    path.symlink_to("victim")
    assert not is_usable(path)


def test_a_file_with_a_second_name_is_unusable(path, tmp_path):
    """A user who may link but not write must not cause a write."""
    (tmp_path / "victim").write_bytes(GOOD)
    path.hardlink_to(tmp_path / "victim")
    assert not is_usable(path)


def test_a_fifo_does_not_hang(path):
    os.mkfifo(path)
    assert not is_usable(path)


def test_a_socket_is_unusable():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "maildirsize"  # short enough for a socket
        listener.bind(str(path))
        assert not is_usable(path)


def test_little_of_a_huge_file_is_read(path, monkeypatch):
    path.write_bytes(GOOD)
    os.truncate(path, 2**32)
    read, real = [], os.pread

    def pread(descriptor, size, offset):
        read.append(size)
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert not is_usable(path)
    assert read == [MAX_OCTETS]


def test_a_file_that_grows_while_open_is_not_read(path):
    path.write_bytes(GOOD)
    with opened(path) as file:
        os.truncate(path, 2**32)
        line = file.append(Usage(1, 1))
        assert line.start == 2**32
        assert file.before(line) is None
        assert file.contains(line)
