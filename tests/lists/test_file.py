"""List files: when they are read again, and the effect of errors."""

import errno
import os

import pytest

from gatepost.lists import file as file_module
from gatepost.lists.file import DomainFile, ListFile
from gatepost.lists.indexing.build import MAX_USELESS
from gatepost.lists.reloadable import KEEP_PREVIOUS, FileChange, ListError, ReloadableFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traps"


def write(path, content):
    """Write a file with an old time stamp, so that its identity is stable."""
    path.write_bytes(content)
    os.utime(path, (1, 1))


def loaded(path, content=b"trap@example.com\n", **options):
    write(path, content)
    file = ListFile(path, path.parent / "cache", **options)
    file.load()
    return file


def names(file):
    return [entry.text for entry in file.current]


def big(count, prefix=b"user"):
    return b"".join(b"%s%d@example.com\n" % (prefix, number) for number in range(count))


def refresh_after_build(file):
    """Wait for the child that builds the index, then refresh."""
    file._builder._child.wait()
    return file.refresh()


def test_load_reads_entries_and_errors(path):
    file = loaded(path, b"trap@example.com note\nbad\n")
    assert names(file) == ["trap@example.com"]
    assert file.current.exact("trap@example.com").source == str(path)
    assert [error.line for error in file.current.errors] == [2]


def test_a_list_with_only_bad_lines_is_loaded_with_its_errors(path):
    file = loaded(path, b"bad\n")
    assert len(file.current) == 0
    assert file.current.bad_lines == 1


def test_loading_a_missing_file_fails(path):
    with pytest.raises(ListError) as caught:
        ListFile(path, path.parent).load()
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_loading_a_folder_fails(path):
    path.mkdir()
    with pytest.raises(ListError) as caught:
        ListFile(path, path.parent).load()
    assert str(caught.value) == f"{path}: cannot be read: Is a directory"


def test_loading_a_named_pipe_fails(path):
    os.mkfifo(path)
    with pytest.raises(ListError) as caught:
        ListFile(path, path.parent).load()
    assert str(caught.value) == f"{path}: expected a regular file, found another file type"


@pytest.mark.parametrize("above", [0, 1000])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_loading_utf_16_fails(path, above, encoding):
    with pytest.raises(ListError) as caught:
        loaded(path, "\ufefftrap@example.com\n".encode(encoding), index_above=above)
    expected = f"{path}: expected UTF-8, found the byte order mark of UTF-16"
    assert str(caught.value) == expected


def test_refresh_of_an_unchanged_file_keeps_the_version(path):
    file = loaded(path)
    before = file.current
    assert file.refresh() is None
    assert file.current is before


def test_a_new_time_stamp_alone_is_no_change(path):
    file = loaded(path)
    os.utime(path, (2, 2))
    assert file.refresh() is None


def replace(path, content):
    other = path.with_name("other")
    write(other, content)
    other.replace(path)


def append(path, content):
    with path.open("ab") as file:
        file.write(content)


@pytest.mark.parametrize("above", [1, 1000])
@pytest.mark.parametrize("edit", [write, replace])
@pytest.mark.parametrize(
    "content", [b"new@example.com\n", b"trap@example.net\n", b"trap@example.com\nnew@example.com"]
)
def test_an_edited_file_is_read_again(path, edit, content, above):
    file = loaded(path, index_above=above)
    edit(path, content)
    expected = content.decode().split()
    assert file.refresh() == FileChange(path, len(expected))
    assert names(file) == expected
    assert file.refresh() is None
    file.close()


def test_a_change_reports_bad_lines(path):
    file = loaded(path)
    write(path, b"a@example.com\nbad\n")
    change = file.refresh()
    assert change.entries == 1
    assert [error.line for error in change.errors] == [2]
    assert change.problem == ""


def test_a_write_within_the_same_clock_tick_is_detected(path):
    file = loaded(path)
    path.write_bytes(b"aaaa@example.com\n")
    status = path.stat()
    assert file.refresh() == FileChange(path, 1)
    path.write_bytes(b"bbbb@example.com\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.refresh() == FileChange(path, 1)
    assert names(file) == ["bbbb@example.com"]


def test_a_missing_file_and_its_return_are_each_reported_once(path):
    file = loaded(path)
    path.rename(path.with_name("away"))
    problem = f"{path}: cannot be read: No such file or directory"
    assert file.refresh() == FileChange(path, 1, problem=problem)
    assert file.refresh() is None
    assert names(file) == ["trap@example.com"]
    path.with_name("away").rename(path)
    assert file.refresh() == FileChange(path, 1)
    assert file.refresh() is None


def test_a_file_replaced_by_a_folder_keeps_the_last_good_version(path):
    file = loaded(path)
    path.unlink()
    path.mkdir()
    assert file.refresh().problem == f"{path}: cannot be read: Is a directory"
    assert file.refresh() is None
    assert names(file) == ["trap@example.com"]


def test_an_unreadable_file_is_read_again_next_time(path, monkeypatch):
    file = loaded(path)
    write(path, b"new@example.com\n")

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ListFile, "_read", fail)
    assert file.refresh().problem == f"{path}: cannot be read: Input/output error"
    assert file.refresh() is None
    monkeypatch.undo()
    assert file.refresh() == FileChange(path, 1)
    assert names(file) == ["new@example.com"]


@pytest.mark.parametrize("above", [1, 1000])
def test_a_file_with_only_bad_lines_keeps_the_last_good_version(path, above):
    file = loaded(path, index_above=above)
    write(path, b"\0\0\0\n")
    change = file.refresh()
    assert change.problem == (
        f"{path}: expected an entry, found only bad lines: {path}:1: "
        "expected text without control characters, found '\\x00\\x00\\x00'"
    )
    assert file.refresh() is None
    assert names(file) == ["trap@example.com"]
    write(path, b"trap@example.com\n")
    assert file.refresh() == FileChange(path, 1)
    file.close()


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now


def watched(path, content=b"trap@example.com\nmore@example.com\n", **options):
    file = loaded(path, content, **options)
    file.clock = Clock()
    return file


def emptied(path, before=2):
    return (
        f"{path}: found no entry, {before} before: if the list is to be empty, write # empty;"
        " the previous version stays in force for 1h"
    )


@pytest.mark.parametrize("above", [1, 1000])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"# a comment\n", b"# emp"])
def test_a_list_without_entries_takes_effect_after_an_hour(path, content, above):
    file = watched(path, index_above=above)
    write(path, content)
    assert file.refresh() == FileChange(path, 2, problem=emptied(path))
    file.clock.now += KEEP_PREVIOUS - 1
    assert file.refresh() is None
    assert len(file.current) == 2
    file.clock.now += 1
    assert file.refresh() == FileChange(path, 0)
    assert names(file) == []
    assert file.refresh() is None
    file.close()


def test_the_wait_starts_with_the_first_doubtful_version(path):
    file = watched(path)
    write(path, b"")
    assert file.refresh().problem == emptied(path)
    file.clock.now += KEEP_PREVIOUS
    write(path, b"# a comment\n")
    assert file.refresh() == FileChange(path, 0)


@pytest.mark.parametrize("above", [1, 1000])
def test_a_list_that_is_empty_on_purpose_takes_effect_at_once(path, above):
    file = watched(path, index_above=above)
    write(path, b"# moved to the other list\n  # empty \r\n")
    assert file.refresh() == FileChange(path, 0)
    file.close()


def test_a_file_truncated_and_written_again_is_never_empty(path):
    file = watched(path)
    write(path, b"")
    assert file.refresh().problem == emptied(path)
    write(path, b"new@example.com\n")
    assert file.refresh() == FileChange(path, 1)
    file.clock.now += KEEP_PREVIOUS
    write(path, b"")
    assert file.refresh().problem == emptied(path, before=1)


@pytest.mark.parametrize("above", [1, 1000])
def test_a_half_written_list_takes_effect_after_an_hour(path, above):
    file = watched(path, index_above=above)
    write(path, b"trap@example.co")
    assert file.refresh().problem == (
        f"{path}: found 1 entries, 2 before, and the last line has no line end;"
        " the previous version stays in force for 1h"
    )
    assert names(file) == ["trap@example.com", "more@example.com"]
    file.clock.now += KEEP_PREVIOUS
    assert file.refresh() == FileChange(path, 1)
    assert names(file) == ["trap@example.co"]
    file.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"trap@example.com\nmore@example.com\n", b"trap@example.com\n"),
        (b"trap@example.com\nmore@example.com", b"trap@example.com"),
        (b"trap@example.com\nmore@example.com\n", b"trap@example.com\nother@example.com"),
    ],
)
def test_a_complete_list_takes_effect_at_once(path, before, after):
    file = watched(path, before)
    write(path, after)
    assert file.refresh() == FileChange(path, len(after.split()))


def test_a_list_that_was_empty_at_the_start_has_no_previous_version(path):
    file = watched(path, b"")
    assert file.refresh() is None
    write(path, b"\n")
    assert file.refresh() == FileChange(path, 0)


def test_an_emptied_domain_list_keeps_the_previous_version(path):
    write(path, b"example.com\nexample.net\n")
    file = DomainFile(path)
    file.load()
    write(path, b"")
    assert file.refresh().problem == emptied(path)
    assert list(file.current) == ["example.com", "example.net"]


def test_a_line_of_ten_megabytes_is_skipped(path):
    file = loaded(path, b"x" * 10_000_000 + b"\ntrap@example.com\n", index_above=20_000_000)
    assert names(file) == ["trap@example.com"]
    assert file.current.exact("trap@example.com").line == 2
    assert file.current.bad_lines == 1


def test_a_list_grows_and_shrinks_across_the_index_threshold(path):
    file = loaded(path, big(10), index_above=100)
    assert len(file.current) == 10
    write(path, b"one@example.com\n")
    assert file.refresh() == FileChange(path, 1)
    assert names(file) == ["one@example.com"]
    write(path, big(20))
    assert file.refresh() == FileChange(path, 20)
    write(path, b"one@example.com\n")
    assert file.refresh() == FileChange(path, 1)
    file.close()


def test_an_existing_index_is_reused(path):
    loaded(path, big(10), index_above=100).close()
    (index,) = (path.parent / "cache").glob("*.index")
    before = index.stat().st_ino
    file = loaded(path, big(10) + b"new@example.com\n", index_above=100)
    assert names(file)[-1] == "new@example.com"
    assert index.stat().st_ino == before


def test_the_folder_of_an_index_is_open_to_its_owner_only(path):
    before = os.umask(0)
    try:
        loaded(path, big(10), index_above=100).close()
    finally:
        os.umask(before)
    assert (path.parent / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"x", b"bad\n", b"# a comment\n"])
def test_a_big_list_without_a_valid_entry_leaves_no_index(path, content):
    with pytest.raises(ListError, match=r"not built, because the list has no valid entry"):
        loaded(path, content * (MAX_USELESS // len(content) + 1), index_above=100)
    assert [one.suffix for one in (path.parent / "cache").iterdir()] == [".lock"]


def test_a_big_list_that_becomes_garbage_leaves_the_old_index(path, monkeypatch):
    file = loaded(path, big(50), index_above=100)
    (index,) = (path.parent / "cache").glob("*.index")
    size = index.stat().st_size
    limit_changes(monkeypatch)
    write(path, b"x" * (MAX_USELESS + 1))
    assert file.refresh().pending
    assert refresh_after_build(file).problem != ""
    assert index.stat().st_size == size
    assert file.current.exact("user7@example.com") is not None
    file.close()


def limit_changes(monkeypatch):
    monkeypatch.setattr("gatepost.lists.indexing.difference.MAX_CHANGED", 200)
    monkeypatch.setattr("gatepost.lists.indexing.difference._WINDOWS", (100, 200))


def test_a_large_change_keeps_the_old_version_until_the_new_index_is_built(path, monkeypatch):
    file = loaded(path, big(50), index_above=100)
    limit_changes(monkeypatch)
    write(path, big(50, b"other"))
    assert file.refresh() == FileChange(path, 50, pending=True)
    os.utime(path, (3, 3))
    assert file.refresh() is None
    assert file.current.exact("user7@example.com") is not None
    assert refresh_after_build(file) == FileChange(path, 50)
    assert file.current.exact("user7@example.com") is None
    assert file.current.exact("other7@example.com").line == 8
    assert file.refresh() is None


def test_a_file_that_changes_during_the_build_is_overlaid(path, monkeypatch):
    file = loaded(path, big(50), index_above=100)
    limit_changes(monkeypatch)
    write(path, big(50, b"other"))
    assert file.refresh().pending
    file._builder._child.wait()
    append(path, b"late@example.com\n")
    assert file.refresh() == FileChange(path, 51)
    assert file.current.exact("late@example.com").line == 51


def test_a_large_overlay_triggers_a_new_index(path, monkeypatch):
    monkeypatch.setattr(file_module, "COMPACT_ABOVE", 100)
    file = loaded(path, big(50), index_above=100)
    append(path, big(20, b"more"))
    assert file.refresh() == FileChange(path, 70)
    assert file.current.exact("more3@example.com").line == 54
    assert refresh_after_build(file) == FileChange(path, 70)
    assert file._hunks == []
    assert file.current.exact("more3@example.com").line == 54


def test_a_failed_build_is_reported_once(path, monkeypatch):
    file = loaded(path, big(50), index_above=100)
    limit_changes(monkeypatch)
    write(path, big(50, b"other"))
    assert file.refresh().pending
    file._builder.stop()
    (path.parent / "cache").rename(path.parent / "gone")
    (path.parent / "cache").write_bytes(b"not a folder")
    file._builder.start()
    change = refresh_after_build(file)
    assert change.entries == 50
    assert change.problem.startswith(f"{path}: building the index failed: ")
    assert change.problem.endswith("; the next change of the file triggers another attempt")
    assert file.refresh() is None
    assert file.current.exact("user7@example.com") is not None


def test_loading_fails_if_the_index_cannot_be_built(path):
    path.parent.joinpath("cache").write_bytes(b"not a folder")
    with pytest.raises(ListError, match=r"building the index failed: .*Expected a folder"):
        loaded(path, big(50), index_above=100)


def test_loading_fails_if_no_child_can_be_started(path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(ListError, match=r"building the index failed: .*No such file"):
        loaded(path, big(50), index_above=100)


def test_loading_fails_if_the_list_keeps_changing(path, monkeypatch):
    monkeypatch.setattr(file_module, "_hunks_since_index", lambda *_: None)
    with pytest.raises(
        ListError, match=r"traps: the file changes faster than its index can be built$"
    ):
        loaded(path, big(50), index_above=100)


def test_closing_stops_a_build(path, monkeypatch):
    file = loaded(path, big(50), index_above=100)
    limit_changes(monkeypatch)
    write(path, big(50, b"other"))
    file.refresh()
    child = file._builder._child
    file.close()
    assert child.returncode is not None
    file.close()


def test_a_domain_file_is_read_and_refreshed(path):
    write(path, b"\xef\xbb\xbfexample.com\r\n.example.net note\n# no\na@b\n")
    file = DomainFile(path)
    file.load()
    assert list(file.current) == ["example.com", ".example.net"]
    assert [error.line for error in file.current.errors] == [4]
    append(path, b"example.org\n")
    change = file.refresh()
    assert (change.entries, len(change.errors)) == (3, 1)
    file.close()


def test_a_domain_list_that_is_too_big_is_refused(path, monkeypatch):
    monkeypatch.setattr(file_module, "INDEX_ABOVE", 10)
    write(path, b"example.com\n")
    with pytest.raises(ListError, match=r"traps: expected at most 10 octets, found 12$"):
        DomainFile(path).load()


def test_list_files_are_reloadable_files():
    assert issubclass(ListFile, ReloadableFile)
    assert issubclass(DomainFile, ReloadableFile)


def begun(path, content, **options):
    """Return a big list that a server has begun at its start, at the time 100."""
    write(path, content)
    file = ListFile(path, path.parent / "cache", index_above=100, late_above=200, **options)
    file.clock = lambda: 100.0
    file.begin()
    return file


def test_a_start_waits_for_the_index_of_a_list_that_is_not_very_big(path):
    file = begun(path, big(9))
    assert (len(file.current), file.is_late, file.problem) == (9, False, "")


def test_a_start_does_not_wait_for_the_index_of_a_very_big_list(path):
    file = begun(path, big(50))
    assert (len(file.current), file.is_late, file.loaded) == (0, True, 0.0)
    assert file.problem == f"{path}: the index is being built"
    file.clock = lambda: 107.5
    assert refresh_after_build(file) == FileChange(path, 50, late=7.5)
    assert (len(file.current), file.is_late, file.problem) == (50, False, "")
    assert file.refresh() is None
    append(path, b"one@example.com\n")
    assert file.refresh() == FileChange(path, 51)


def test_a_very_big_list_with_an_index_is_complete_at_once(path):
    loaded(path, big(50), index_above=100)
    file = begun(path, big(50))
    assert (len(file.current), file.is_late) == (50, False)


def test_a_start_uses_an_older_index_until_the_new_one_is_built(path, monkeypatch):
    limit_changes(monkeypatch)
    loaded(path, big(50), index_above=100)
    file = begun(path, big(40, b"other").removesuffix(b"\n"))
    assert (len(file.current), file.is_late, file.loaded) == (50, True, 1.0)
    assert file.current.exact("user7@example.com").line == 8
    assert refresh_after_build(file) == FileChange(path, 40, late=0.0)
    assert file.current.exact("user7@example.com") is None
    assert file.current.exact("other7@example.com").line == 8


def test_a_damaged_index_is_not_used_at_the_start(path, monkeypatch):
    limit_changes(monkeypatch)
    loaded(path, big(50), index_above=100)
    (index,) = (path.parent / "cache").glob("*.index")
    index.write_bytes(index.read_bytes()[:-1])
    file = begun(path, big(50))
    assert (len(file.current), file.is_late) == (0, True)
    assert refresh_after_build(file) == FileChange(path, 50, late=0.0)


def test_a_missing_very_big_list_is_an_error_at_the_start(path):
    with pytest.raises(ListError, match="No such file"):
        ListFile(path, path.parent / "cache").begin()


def test_a_list_that_is_too_big_for_an_index_is_an_error_at_the_start(path, monkeypatch):
    monkeypatch.setattr(file_module, "MAX_TEXT", 300)
    with pytest.raises(ListError, match="expected less than 4 GiB, found 940 octets"):
        begun(path, big(50))


def test_a_failed_first_index_is_a_problem_of_the_list(path):
    file = begun(path, b"# a comment\n" * (MAX_USELESS // 12 + 1))
    change = refresh_after_build(file)
    assert change.problem.endswith(
        "because the list has no valid entry; the next change of the file triggers another attempt"
    )
    assert (file.problem, file.is_late) == (change.problem, True)
    write(path, big(50))
    assert file.refresh() == FileChange(path, 0, pending=True)
    assert refresh_after_build(file) == FileChange(path, 50, late=0.0)
    assert not file.is_late
