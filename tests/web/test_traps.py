"""The view Traps, with a ledger whose older segments have not counted networks."""

import sqlite3
from contextlib import closing

from tests.web.made import NOW, trapped
from tests.web.test_scope_counts import Ledger

from gatepost.config.load import config_from_dict
from gatepost.web.filters import parse_filters
from gatepost.web.scope import Scope
from gatepost.web.source import Source
from gatepost.web.views import traps


def shown(ledger):
    source = Source(config_from_dict({}, ledger.folder.parents[1]), Scope(), cache=ledger.cache)
    return traps.query(source, parse_filters({"period": "24h", "zone": "UTC"}, NOW + 60))


def test_hits_of_segments_without_networks_are_named(tmp_path):
    ledger = Ledger(tmp_path / "var")
    ledger.write(*(trapped(number) for number in range(12, 0, -1)))
    ledger.close()
    assert [row.values[:2] for row in shown(ledger).table("networks").rows] == [
        ("192.0.2.0/24", 12)
    ]
    assert shown(ledger).table("networks").note == ""
    with closing(sqlite3.connect(ledger.folder / "00000001.sqlite")) as connection, connection:
        connection.execute("DELETE FROM total WHERE dimension = 'trap_network'")
    networks = shown(ledger).table("networks")
    assert [row.values[:2] for row in networks.rows] == [("192.0.2.0/24", 7)]
    assert networks.note == "The networks of 5 older hits were not counted."
    assert shown(ledger).facts["total"] == 12


def test_the_last_hit_is_given_by_its_hour(tmp_path):
    ledger = Ledger(tmp_path / "var")
    ledger.write(trapped(200), trapped(90), trapped(2))
    ledger.close()
    (row,) = shown(ledger).table("traps").rows
    assert row.values[-1] == (NOW - 120) // 3600 * 3600
