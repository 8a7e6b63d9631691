"""Recipients in a real PostgreSQL: found, unknown, deferred while it is down, and back again."""

import pytest
from tests.e2e import server as e2e
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw
from tests.e2e.server import eventually
from tools import postgresql

USERS = """\
create table users (address text primary key, target text);
insert into users values ('ann@example.com', 'ann'), ('o''brien@example.com', 'o');
"""
SECTION = """
[sql.users]
url = "{url}"
password_file = "db-password"
query = "SELECT address, target FROM users WHERE address IN :keys"
timeout = "20s"
"""


@pytest.fixture
def database():
    if reason := postgresql.why_not():
        pytest.skip(reason)
    with postgresql.running(USERS) as running:
        yield running


@pytest.fixture
def server(database, tmp_path, monkeypatch):
    known = 'known = ["file:users", "sql:users"]'
    config = e2e.CONFIG.replace('known = ["file:users"]', known)
    monkeypatch.setattr(e2e, "CONFIG", config)
    (tmp_path / "db-password").write_text(postgresql.PASSWORD)
    with serving(tmp_path, SECTION.format(url=database.url)) as running:
        yield running


def ask(server, *recipients):
    """The codes of the replies to RCPT."""
    with Raw(server.port) as client:
        commands = [f"RCPT TO:<{one}>" for one in recipients]
        _, *replies = client.exchange("MAIL FROM:<a@client.example>", *commands)
        return [reply[:9] for reply in replies]


def test_a_recipient_exists_if_the_database_has_it(server):
    keys = ("ann+tag@example.com", "O'Brien@example.com", "alice@example.com", "eve@example.com")
    assert ask(server, *keys) == ["250 2.1.5"] * 3 + ["550 5.1.1"]
    injected = ("\"x' or '1'='1\"@example.com", '"\';drop table users;--"@example.com')
    assert ask(server, *injected, "ann@example.com") == ["550 5.1.1"] * 2 + ["250 2.1.5"]


def test_recipients_are_deferred_while_the_database_is_down(server, database):
    assert ask(server, "ann@example.com") == ["250 2.1.5"]
    database.kill()
    unknown = [f"{number}@example.com" for number in range(5)]
    for one in unknown:
        assert ask(server, one) == ["451 4.3.0"]
    assert ask(server, "ann@example.com", "alice@example.com") == ["250 2.1.5"] * 2
    database.start()
    eventually(lambda: ask(server, unknown[0]) == ["550 5.1.1"])
    log = (server.folder / "log").read_text()
    assert log.count("table unavailable") == log.count("table available") == 1
    assert postgresql.PASSWORD not in log


def test_the_server_stops_while_the_database_hangs(server, database):
    assert ask(server, "ann@example.com") == ["250 2.1.5"]
    database.suspend()
    server.stop()
