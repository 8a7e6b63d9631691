"""Files of another server: what is read, and what must not be read."""

import os

import pytest
from tests.migration.made import import_haraka, import_qpsmtpd, source, write_files

from gatepost.lists.entry import MAX_LINE
from gatepost.migration import source as reading
from gatepost.migration.findings import Kind
from gatepost.migration.haraka import reading as haraka
from gatepost.migration.qpsmtpd import reading as qpsmtpd
from gatepost.migration.where import NoConfigError


def texts(found, name):
    return [(line.text, line.number) for line in found.lines(name)]


def left(found):
    return [(one.place, one.text) for one in found.findings.of(Kind.LEFT)]


def test_comments_blank_lines_and_blanks_at_the_ends_are_dropped(tmp_path):
    write_files(tmp_path, {"me": "# name\n\n  mx.example.com \r\n#\nsecond"})
    found = source(tmp_path)
    assert texts(found, "me") == [("mx.example.com", 3), ("second", 5)]
    assert found.value("me").place == "me:3"


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    found = source(tmp_path)
    assert texts(found, "me") == []
    assert found.value("me") is None
    assert left(found) == []


def test_the_first_folder_that_has_a_file_counts(tmp_path):
    write_files(tmp_path, {"config/a": "1", "control/a": "2", "control/b": "3"})
    found = source(tmp_path)
    found.folders = [tmp_path / "config", tmp_path / "control"]
    assert texts(found, "a") == [("1", 1)]
    assert texts(found, "b") == [("3", 1)]


def test_binary_data_is_not_read(tmp_path):
    write_files(tmp_path, {"list": b"a@example.com\n\x00\x01\n"})
    found = source(tmp_path)
    assert texts(found, "list") == []
    assert left(found) == [("list", "cannot be read: expected text, found binary data")]


def test_a_line_that_is_not_utf_8_or_too_long_is_left_out(tmp_path):
    write_files(tmp_path, {"list": b"one\n\xff\xfe\n" + b"x" * (MAX_LINE + 9) + b"\nfour\n"})
    found = source(tmp_path)
    assert texts(found, "list") == [("one", 1), ("four", 4)]
    assert left(found) == [
        ("list:2", "expected UTF-8"),
        ("list:3", f"expected a line of at most {MAX_LINE} octets"),
    ]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_a_regular_file_is_opened(tmp_path, make):
    make(tmp_path / "list")
    found = source(tmp_path)
    assert texts(found, "list") == []
    assert [place for place, _ in left(found)] == ["list"]


def test_a_file_that_cannot_be_opened_is_a_finding(tmp_path, monkeypatch):
    write_files(tmp_path, {"list": "a"})

    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", "list")

    monkeypatch.setattr(reading, "open_regular", refuse)
    found = source(tmp_path)
    assert texts(found, "list") == []
    assert left(found) == [("list", "cannot be read: Permission denied")]


def test_a_link_out_of_the_folder_is_read_only_if_asked_for(tmp_path):
    write_files(tmp_path, {"secret": "root:hash", "config/other": "other"})
    (tmp_path / "config/list").symlink_to(tmp_path / "secret")
    (tmp_path / "config/inside").symlink_to(tmp_path / "config/other")
    found = source(tmp_path / "config")
    assert texts(found, "list") == []
    assert texts(found, "inside") == [("other", 1)]
    text = f"leads to {tmp_path}/secret, outside of the folder; --follow reads it"
    assert left(found) == [("list", text)]
    assert texts(source(tmp_path / "config", follow=True), "list") == [("root:hash", 1)]


def test_a_linked_folder_leads_out_too(tmp_path):
    write_files(tmp_path, {"other/list": "x", "config/plugins": ""})
    (tmp_path / "config/lists").symlink_to(tmp_path / "other")
    assert texts(source(tmp_path / "config"), "lists/list") == []


@pytest.mark.parametrize("target", ["missing", "loop"])
def test_a_link_to_nothing_or_to_itself_is_a_finding(tmp_path, target):
    (tmp_path / "loop").symlink_to(tmp_path / target)
    found = source(tmp_path)
    assert texts(found, "loop") == []
    assert [place for place, _ in left(found)] == ["loop"]


# $include of qpsmtpd


def test_included_files_stand_where_they_are_included(tmp_path):
    write_files(
        tmp_path,
        {"a": "1\n$include b\n4\n", "b": "2\n$include more\n", "more/x": "3", "more/.y": "9"},
    )
    found = source(tmp_path, includes=True)
    assert [line.text for line in found.lines("a")] == ["1", "2", "3", "4"]
    assert [line.place for line in found.lines("a")] == ["a:1", "b:1", "more/x:1", "a:3"]


def test_files_that_include_each_other_end(tmp_path):
    write_files(tmp_path, {"a": "1\n$include b\n", "b": "2\n$include a\n", "c": "$include c\n3"})
    found = source(tmp_path, includes=True)
    assert [line.text for line in found.lines("a")] == ["1", "2"]
    assert [line.text for line in found.lines("c")] == ["3"]
    assert left(found) == [("b:2", "a includes itself"), ("c:1", "c includes itself")]


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret"])
def test_an_included_file_outside_is_not_read(tmp_path, name):
    write_files(tmp_path, {"secret": "x", "config/a": f"$include {name}\n"})
    found = source(tmp_path / "config", includes=True)
    assert texts(found, "a") == []
    assert len(left(found)) == 1


def test_an_included_file_that_is_missing_is_a_finding(tmp_path):
    write_files(tmp_path, {"a": "$include nosuch\n"})
    found = source(tmp_path, includes=True)
    assert texts(found, "a") == []
    assert left(found) == [("a:1", "no file nosuch to include")]


def test_haraka_has_no_include(tmp_path):
    write_files(tmp_path, {"a": "$include b\n"})
    assert texts(source(tmp_path), "a") == [("$include b", 1)]


def test_a_file_that_is_kept_in_memory_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_VALUES", 2)
    write_files(tmp_path, {"list": "1\n2\n3\n"})
    found = source(tmp_path)
    assert [line.text for line in found.values("list")] == ["1", "2"]
    assert left(found) == [("list", "only the first 2 lines were read")]


# the folder


@pytest.mark.parametrize("part", ["", "config"])
def test_the_folder_is_that_of_the_server_or_its_configuration(tmp_path, part):
    write_files(tmp_path, {"config/plugins": "rcpt_ok", "config/me": "mx.example.com"})
    for job in (qpsmtpd.read(tmp_path / part, tmp_path), haraka.read(tmp_path / part)):
        assert job.draft.get("server.hostname") == "mx.example.com"
        assert ("config/me:1", 'server.hostname = "mx.example.com"') in [
            (one.place, one.text) for one in job.findings.of(Kind.TAKEN)
        ]


def test_another_folder_is_an_error_that_names_what_was_expected(tmp_path):
    (tmp_path / "plugins").mkdir()  # those of an installation
    with pytest.raises(NoConfigError) as caught:
        qpsmtpd.read(tmp_path, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no file config/plugins; expected the folder of qpsmtpd, or its folder config"
    )
    with pytest.raises(NoConfigError, match="expected the folder of Haraka"):
        haraka.read(tmp_path / "nosuch")


@pytest.mark.parametrize("read", [import_qpsmtpd, import_haraka])
def test_files_that_were_not_used_are_reported(tmp_path, read):
    found = read(tmp_path, {"plugins": "", "me": "mx.example.com", "odd": "x", ".hidden": "x"})
    assert found.left("config/odd") == ["not used: no plugin that was taken over has it"]
    assert found.left("config/me") == []
    assert not any("hidden" in place for place, _ in found.report("LEFT"))
