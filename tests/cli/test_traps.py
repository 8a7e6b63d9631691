"""`gatepost traps list|add|remove|test`."""

import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.cli.shared.trap_lists import EntryError, append, parse_entry, remove
from gatepost.lists.entry import parse_line
from gatepost.lists.file import INDEX_ABOVE, ListFile

LISTS = """\
# a comment
Trap@Example.com  an old leaver
@example.net\t a whole domain
/^x[0-9]+@/
abuse@example.com
bob@example.com  is known
"""


@pytest.fixture
def lists(configure):
    folder = configure(
        "[recipients]",
        'domains = ["example.com"]',
        'known = ["bob@example.com", "file:users"]',
        "[traps]",
        'lists = ["one", "two"]',
    )
    (folder / "users").write_text("eve@example.com\n")
    (folder / "one").write_text(LISTS)
    (folder / "two").write_text("other@example.com\n")
    return folder


def test_list_prints_file_line_and_note(run, lists):
    result = run("traps", "list")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{lists}/one:2  Trap@Example.com  an old leaver",
        f"{lists}/one:3  @example.net  a whole domain",
        f"{lists}/one:4  /^x[0-9]+@/",
        f"{lists}/one:5  abuse@example.com  [not armed: a role address (RFC 2142)]",
        f"{lists}/one:6  bob@example.com  is known  [not armed: a known recipient]",
        f"{lists}/two:1  other@example.com",
    ]


def test_list_prints_json(run, lists):
    found = json.loads(run("traps", "list", "--json").stdout)
    assert [one["trap"] for one in found if not one["armed"]] == [
        "abuse@example.com",
        "bob@example.com",
    ]
    assert found[0] == {
        "trap": "Trap@Example.com",
        "kind": "address",
        "class": "pristine",
        "state": "armed",
        "note": "an old leaver",
        "list": f"{lists}/one",
        "line": 2,
        "registered": False,
        "armed": True,
        "not_armed_because": "",
        "expires": 0.0,
        "exempt": [],
        "by": "",
        "at": 0.0,
    }


def test_an_empty_list_is_an_empty_json_array(run, configure):
    folder = configure("[traps]", 'lists = ["none"]')
    (folder / "none").write_text("")
    assert json.loads(run("traps", "list", "--json").stdout) == []


def test_a_missing_list_is_an_error(run, lists):
    (lists / "two").unlink()
    for command in (["list"], ["test", "a@example.com"], ["remove", "a@example.com"]):
        result = run("traps", *command)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"gatepost: {lists}/two: cannot be ")
        assert result.stderr.endswith(": No such file or directory\n")


ANSWERS = {
    "TRAP@example.com": "trap, matches Trap@Example.com (an old leaver) in {}/one:2",
    "trap+tag@example.com": "trap, matches Trap@Example.com (an old leaver) in {}/one:2",
    "any@example.net": "trap, matches @example.net (a whole domain) in {}/one:3",
    "x12@example.org": "trap, matches /^x[0-9]+@/ in {}/one:4",
    "other@example.com": "trap, matches other@example.com in {}/two:1",
    "eve@example.com": "not a trap",
    "any@sub.example.net": "not a trap",
    "bob@example.com": (
        "not a trap, matches bob@example.com in {}/one:6, but is a role address or a known"
        " recipient"
    ),
    "postmaster@example.net": (
        "not a trap, matches @example.net in {}/one:3, but is a role address or a known recipient"
    ),
}


@pytest.mark.parametrize(("address", "answer"), ANSWERS.items())
def test_test_prints_the_matching_entry(run, lists, address, answer):
    result = run("traps", "test", address)
    assert result.stdout == f"{address}: {answer.format(lists)}\n"
    assert result.exit_code == (0 if answer.startswith("trap") else 1)


def test_one_address_that_is_not_a_trap_sets_the_exit_status(run, lists):
    result = run("traps", "test", "--json", "trap@example.com", "eve@example.com")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "address": "trap@example.com",
            "trap": True,
            "entry": "Trap@Example.com",
            "note": "an old leaver",
            "list": f"{lists}/one",
            "line": 2,
            "class": "pristine",
            "guessable": False,
        },
        {"address": "eve@example.com", "trap": False},
    ]


def test_the_class_of_an_entry_is_added_listed_and_tested(run, lists):
    added = ("traps", "add", "old-sales@example.com", "--class", "recycled", "--note", "left 2019")
    assert run(*added, "--list", "one").exit_code == 0
    assert (
        (lists / "one").read_text().endswith("\nold-sales@example.com class=recycled left 2019\n")
    )
    assert "old-sales@example.com  [recycled]  left 2019\n" in run("traps", "list").stdout
    found = json.loads(run("traps", "list", "--json").stdout)
    assert {"class": "recycled", "note": "left 2019"}.items() <= found[-2].items()
    text = run("traps", "test", "old-sales@example.com").stdout
    assert text.endswith(f"matches old-sales@example.com (left 2019) in {lists}/one:7, recycled\n")


def test_a_guessable_trap_can_be_added_so_that_it_spoils(run, lists):
    added = ("traps", "add", "info@example.com", "--class", "seeded", "--list", "one")
    assert run(*added).exit_code == 0
    assert run("traps", "test", "info@example.com").stdout.endswith(", seeded, guessable\n")
    assert run("traps", "remove", "info@example.com").exit_code == 0
    assert run(*added, "--spoil").exit_code == 0
    assert run("traps", "test", "info@example.com").stdout.endswith(", seeded\n")


def test_a_class_that_does_not_exist_is_wrong_usage(run, lists):
    result = run("traps", "add", "old@example.com", "--class", "virtual")
    assert result.exit_code == 2
    assert (lists / "one").read_text() == LISTS


def test_an_invalid_address_is_wrong_usage(run, lists):
    result = run("traps", "test", "@example.com")
    assert result.exit_code == 2
    assert result.stderr == "gatepost: expected local-part@domain, found '@example.com'\n"


def test_add_appends_to_a_list(run, lists):
    result = run("traps", "add", "new@example.com", "--note", "since 2024", "--list", "one")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"new@example.com added to {lists}/one\n"
    assert (lists / "one").read_text() == f"{LISTS}new@example.com since 2024\n"
    assert run("traps", "test", "new@example.com").exit_code == 0


@pytest.mark.parametrize("name", ["two", "./two"])
def test_add_appends_to_the_named_list(run, lists, name):
    assert run("traps", "add", "@new.example", "--list", name).exit_code == 0
    assert (lists / "two").read_text() == "other@example.com\n@new.example\n"


def test_add_completes_the_last_line_or_creates_the_list(run, lists):
    (lists / "one").write_text("a@example.com")
    (lists / "two").unlink()
    run("traps", "add", "/^a/", "--list", "one")
    run("traps", "add", "b@example.com", "--list", "two")
    assert (lists / "one").read_text() == "a@example.com\n/^a/\n"
    assert (lists / "two").read_text() == "b@example.com\n"


@pytest.mark.parametrize("again", ["trap@EXAMPLE.com", "@EXAMPLE.net", "/^x[0-9]+@/"])
def test_an_existing_entry_is_not_added_again(run, lists, again):
    result = run("traps", "add", again, "--list", "two")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{again} is already in {lists}/one:")
    assert (lists / "two").read_text() == "other@example.com\n"


def test_add_warns_of_an_entry_that_is_not_armed(run, lists):
    for _ in range(2):  # added, and then found in the list
        result = run("traps", "add", "eve@example.com", "--list", "one")
        assert result.exit_code == 1
        assert result.stderr == (
            "gatepost: warning: eve@example.com is not armed: it is a known recipient\n"
        )


def test_list_reports_lines_that_are_no_entries(run, lists):
    with (lists / "two").open("ab") as file:
        file.write(b"\nmax.m\xfcller@example.com\n" + b"no\n" * 1002)
    result = run("traps", "list")
    assert result.exit_code == 0
    number = (lists / "two").read_bytes().count(b"\n") - 1002
    problems = result.stderr.splitlines()
    assert problems[0] == (
        rf"gatepost: {lists}/two:{number}: expected UTF-8, found 'max.m\xfcller@example.com'"
    )
    assert problems[-1] == f"gatepost: {lists}/two: 3 more lines are not valid entries"


WRONG_ENTRIES = {
    ("no",): "expected local-part@domain, @domain or /pattern/, found 'no'",
    ("# x",): "expected one address, @domain or /pattern/, found '# x'",
    ("",): "expected one address, @domain or /pattern/, found ''",
    ("a@example.com b",): ("expected one address, @domain or /pattern/, found 'a@example.com b'"),
    ("@-",): "expected a domain name after the @, found '@-'",
    ("/((/",): "expected a regular expression of RE2 (missing ): ((), found '/((/'",
    (r"/(a)\1/",): (
        r"expected a regular expression of RE2 (invalid escape sequence: \1), found '/(a)\\1/'"
    ),
    ("*@x.example",): "expected @x.example for a whole domain, or /pattern/, found '*@x.example'",
    ("/a",): "expected a / that ends the pattern, found '/a'",
    ("a@example.com", "--note", "two\nlines"): (
        "expected text without control characters, found 'two\\nlines'"
    ),
}


@pytest.mark.parametrize("arguments", WRONG_ENTRIES, ids=repr)
def test_an_invalid_entry_is_wrong_usage(run, lists, arguments):
    result = run("traps", "add", *arguments, "--list", "one")
    assert result.exit_code == 2
    assert result.stderr == f"gatepost: {WRONG_ENTRIES[arguments]}\n"
    assert (lists / "one").read_text() == LISTS


def test_an_unconfigured_list_is_wrong_usage(run, lists):
    result = run("traps", "add", "a@example.com", "--list", "three")
    assert result.exit_code == 2
    assert result.stderr == (
        "gatepost: --list: expected one of traps.lists (one, two), found 'three'\n"
    )


def test_add_without_a_list_is_an_error(run, configure):
    configure("[server]")
    result = run("traps", "add", "a@example.com", "--list", "one")
    assert result.exit_code == 1
    assert result.stderr == "gatepost: traps.lists: expected at least one list, found none\n"


def test_a_list_that_cannot_be_written_is_an_error(run, lists):
    (lists / "two").unlink()
    (lists / "two").mkdir()
    result = run("traps", "remove", "a@example.com", "--list", "two")
    assert result.exit_code == 1
    assert result.stderr == f"gatepost: {lists}/two: cannot be changed: Is a directory\n"


def test_remove_changes_all_lists(run, lists):
    (lists / "two").write_text("trap@example.com again\nother@example.com")
    result = run("traps", "remove", "TRAP@example.com")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"Trap@Example.com removed from {lists}/one:2",
        f"trap@example.com removed from {lists}/two:1",
    ]
    assert (lists / "one").read_text() == LISTS.replace("Trap@Example.com  an old leaver\n", "")
    assert (lists / "two").read_text() == "other@example.com"


def test_remove_changes_only_the_named_list(run, lists):
    (lists / "two").write_text("trap@example.com\n")
    assert run("traps", "remove", "trap@example.com", "--list", "two").exit_code == 0
    assert (lists / "one").read_text() == LISTS
    assert (lists / "two").read_text() == "# empty\n"


def test_a_list_is_empty_at_once_after_the_last_entry_was_removed(run, lists):
    (lists / "two").write_text("bad line\nother@example.com")
    file = ListFile(lists / "two", lists)
    file.load()
    assert run("traps", "remove", "other@example.com").exit_code == 0
    assert (lists / "two").read_text() == "bad line\n# empty\n"
    assert file.refresh().problem == ""
    assert len(file.current) == 0


def test_remove_of_an_unlisted_address_is_an_error(run, lists):
    result = run("traps", "remove", "none@example.com")
    assert result.exit_code == 1
    assert result.stderr == "gatepost: none@example.com is not in any list\n"


def test_remove_keeps_mode_and_link(run, lists):
    (lists / "real").mkdir()
    (lists / "two").rename(lists / "real" / "two")
    (lists / "two").symlink_to(lists / "real" / "two")
    (lists / "real" / "two").chmod(0o640)
    assert run("traps", "remove", "other@example.com").exit_code == 0
    assert (lists / "two").is_symlink()
    assert stat.S_IMODE((lists / "real" / "two").stat().st_mode) == 0o640
    assert [path.name for path in (lists / "real").iterdir()] == ["two"]


def test_a_failed_remove_changes_nothing(lists, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(path.name for path in lists.iterdir())
    with pytest.raises(OSError, match="No space left"):
        remove(lists / "one", "trap@example.com")
    assert (lists / "one").read_text() == LISTS
    assert sorted(path.name for path in lists.iterdir()) == before


def test_remove_keeps_invalid_lines_unchanged(lists):
    odd = b"\xff\xfe not UTF-8\r\n" + b"x" * 20_000 + b"\n"
    (lists / "two").write_bytes(odd + b"other@example.com\r\n" + odd)
    assert [entry.line for entry in remove(lists / "two", "other@example.com")] == [3]
    assert (lists / "two").read_bytes() == odd + odd + b"# empty\n"


def test_reading_a_big_list_shows_progress(run, lists):
    (lists / "two").write_bytes(b"# a very long comment\n" * (INDEX_ABOVE // 20))
    result = run("traps", "test", "trap@example.com")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"gatepost: reading {lists}/two (4MiB)\n")


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_parsed_entry_can_be_written_and_read(text, note):
    try:
        entry = parse_entry(text, note)
    except EntryError:
        return
    again = parse_line(f"{entry.text} {entry.note}", "", 0)
    assert again == entry
    assert entry.text == text.strip()
    assert entry.note == note.strip()


@given(st.lists(st.sampled_from(["a@x.example", "@x.example", "/a/", "b@x.example"]), max_size=8))
def test_appended_entries_stay_until_removed(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("lists") / "list"
    path.write_text("# first")
    for text in texts:
        append(path, parse_entry(text))
    assert path.read_text() == "\n".join(["# first", *texts]) + ("\n" if texts else "")
    removed = remove(path, "a@x.example")
    kept = [text for text in texts if text != "a@x.example"]
    assert len(removed) == len(texts) - len(kept)
    emptied = [] if kept or not texts else ["# empty"]
    assert path.read_text().splitlines() == ["# first", *kept, *emptied]
