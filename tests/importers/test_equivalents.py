"""The rows of other servers' plugins: their form, and how a name finds its row."""

import pytest

from gatepost.importers.equivalents import SERVERS, equivalents, named

KINDS = {"plugin", "key", "page"}
ROWS = equivalents()


def found(name):
    return [(row.server, row.name) for row in named(name, ROWS)]


def test_every_server_has_rows():
    assert {row.server for row in ROWS} == set(SERVERS.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.server} {row.name}")
def test_a_row_has_an_equivalent_or_a_reason(row):
    assert row.does
    assert row.here or row.note
    assert {one.partition(":")[0] for one in row.here} <= KINDS
    assert not row.note.endswith(".")
    assert not any(" " in name for name in row.names)


@pytest.mark.parametrize("server", SERVERS.values())
def test_a_name_of_a_server_has_one_row(server):
    names = [name for row in ROWS if row.server == server for name in (row.name, *row.also)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("virus/clamdscan", [("qpsmtpd", "virus/clamdscan")]),
        ("clamdscan", [("qpsmtpd", "virus/clamdscan")]),
        ("check_badmailfrom", [("qpsmtpd", "badmailfrom")]),
        ("haraka-plugin-clamd", [("Haraka", "clamd")]),
        ("helo_checks", [("Haraka", "helo.checks")]),
        ("DNS-List.js", [("Haraka", "dns-list")]),
        ("karma", [("qpsmtpd", "karma"), ("Haraka", "karma")]),
        ("nosuch", []),
        ("", []),
    ],
)
def test_a_plugin_is_found_by_any_of_its_names(name, rows):
    assert found(name) == rows


def test_the_references_of_a_kind_are_those_after_its_name():
    (row,) = named("earlytalker", ROWS)
    assert row.references("plugin") == ["early_talker"]
    assert row.references("key") == ["smtp.greeting_delay", "smtp.unauthorised_pipelining"]
    assert row.references("page") == []
