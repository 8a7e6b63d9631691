"""Files: compression, huge lines, damage, other programs, detection and order."""

import bz2
import gzip
import lzma

import pytest
from tests.importers import (
    test_exim,
    test_haraka,
    test_postfix,
    test_qmail,
    test_qpsmtpd,
    test_sendmail,
)
from tests.importers.read import LATEST, entries

from gatepost.importers import files
from gatepost.importers.files import MOST_LINE, LogFile
from gatepost.importers.ordering import in_order
from gatepost.importers.reading import LogReader, UnknownFormatError
from gatepost.importers.registry import FORMATS, detect
from gatepost.importers.transaction import MOST_RECIPIENTS, Status, Transaction

SAMPLES = {
    "postfix": test_postfix.ACCEPTED + test_postfix.REFUSED,
    "exim": test_exim.REFUSED + test_exim.ACCEPTED,
    "sendmail": test_sendmail.REFUSED + test_sendmail.ACCEPTED,
    "qmail": test_qmail.SEND,
    "qpsmtpd": test_qpsmtpd.SESSION,
    "haraka": test_haraka.stamped(test_haraka.default),
}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(path):
    return list(LogFile(path).lines())


def test_every_format_has_a_sample():
    assert set(SAMPLES) == set(FORMATS)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_format_is_detected(name):
    assert detect(entries(SAMPLES[name].strip())) == name


@pytest.mark.parametrize("name", SAMPLES)
def test_a_log_is_read_with_its_detected_format(name, tmp_path):
    reader = LogReader([write(tmp_path / "log", SAMPLES[name].lstrip())])
    assert len(list(reader.transactions())) in (1, 2)
    assert reader.counts.formats == [name]
    assert (reader.counts.bad, reader.counts.foreign) == (0, 0)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_compressed_files_are_read(pack, tmp_path):
    path = write(tmp_path / "log", pack(b"one\ntwo\n"))
    assert lines(path) == ["one", "two"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_file_that_is_cut_short_is_read_to_there_and_reported(pack, tmp_path):
    content = SAMPLES["exim"].strip().encode() * 400
    path = write(tmp_path / "log", pack(content)[:-9])
    reader = LogReader([path], "exim")
    list(reader.transactions())
    assert reader.counts.problems == [f"{path}: {reader.counts.problems[0].partition(': ')[2]}"]
    assert "damaged or cut short" in reader.counts.problems[0]


def test_damage_in_the_middle_is_reported(tmp_path):
    packed = bytearray(gzip.compress(b"line\n" * 100_000))
    packed[len(packed) // 2] ^= 255
    file = LogFile(write(tmp_path / "log", bytes(packed)))
    list(file.lines())
    assert file.problem


def test_a_huge_line_is_cut_and_counted(tmp_path):
    path = write(tmp_path / "log", b"a" * (3 * MOST_LINE) + b"\nshort\n" + b"b" * MOST_LINE)
    file = LogFile(path)
    assert [len(line) for line in file.lines()] == [MOST_LINE, 5, MOST_LINE]
    assert file.cut_lines == 2


def test_octets_that_are_no_text_are_replaced(tmp_path):
    assert lines(write(tmp_path / "log", b"a\xff\xfeb\r\n")) == ["a��b"]


def test_an_empty_file_has_no_line(tmp_path):
    assert lines(write(tmp_path / "log", b"")) == []


def test_lines_of_others_and_without_a_time_are_counted(tmp_path):
    text = SAMPLES["postfix"] + "Feb 22 10:00:00 mx dovecot: x\nno time\n"
    reader = LogReader([write(tmp_path / "log", text.lstrip())])
    assert len(list(reader.transactions())) == 2
    counts = reader.counts
    assert (counts.foreign, counts.bad) == (1, 1)
    assert counts.lines == counts.used + counts.foreign + counts.bad


def test_a_file_of_no_format_is_an_error(tmp_path):
    reader = LogReader([write(tmp_path / "log", "hello\nworld\n")])
    with pytest.raises(UnknownFormatError, match="expected a log of postfix"):
        list(reader.transactions())


def test_a_session_continues_in_the_next_file(tmp_path):
    whole = test_postfix.REFUSED.strip().splitlines(keepends=True)
    first = write(tmp_path / "log.1", "".join(whole[:2]))
    second = write(tmp_path / "log", "".join(whole[2:]))
    [found] = LogReader([first, second]).transactions()
    assert len(found.recipients) == 3


def test_progress_adds_up_to_the_size_of_the_file(tmp_path):
    path = write(tmp_path / "log", SAMPLES["exim"].lstrip())
    seen = []
    list(LogReader([path]).transactions(seen.append))
    assert sum(seen) == path.stat().st_size


def test_transactions_come_in_the_order_of_their_start():
    found = [Transaction(at, ended=end) for at, end in [(50, 60), (10, 100), (120, 130), (90, 140)]]
    assert [one.time for one in in_order(found)] == [10, 50, 90, 120]


def test_what_is_held_is_bounded_by_time_and_by_number():
    late = [Transaction(at, ended=at) for at in (10_000.0, 20_000.0, 1.0)]
    assert [one.time for one in in_order(late)] == [10_000, 1, 20_000]
    many = [Transaction(float(at), ended=at) for at in (3, 2, 1)]
    assert [one.time for one in in_order(many, most=1)] == [2, 1, 3]


def test_recipients_of_a_transaction_are_bounded_and_counted():
    found = Transaction(0.0)
    found.add_all((f"{at}@example.com" for at in range(MOST_RECIPIENTS + 5)), Status.UNKNOWN)
    assert (len(found.recipients), found.more_recipients) == (MOST_RECIPIENTS, 5)


def test_a_later_answer_replaces_an_earlier_one():
    found = Transaction(0.0)
    found.add("A@example.com", Status.DEFERRED)
    found.add("a@example.com", Status.ACCEPTED)
    assert [one.status for one in found.recipients.values()] == [Status.ACCEPTED]


def test_a_file_that_cannot_be_read_is_reported(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(5, "Input/output error")
        yield

    monkeypatch.setattr(files.LogFile, "_cut", broken)
    file = LogFile(write(tmp_path / "log", b"x\n"))
    assert list(file.lines()) == []
    assert "Input/output error" in file.problem


def test_the_year_of_a_log_is_that_of_its_file(tmp_path):
    import os

    path = write(tmp_path / "log", SAMPLES["postfix"].lstrip())
    os.utime(path, (LATEST, LATEST))
    assert all(one.time < LATEST for one in LogReader([path]).transactions())
