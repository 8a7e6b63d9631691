"""The recipes for recipients from SQL and LDAP, with SQLite and a real slapd."""

import gc
import importlib
import sqlite3
import warnings
from contextlib import closing

import pytest
from examples.sql_recipients import SqlRecipients
from tools import slapd

from gatepost.testing import play

# ldap3 uses old names of pyasn1
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated. Please use:DeprecationWarning")
MAILBOXES = ("ann@tenant.example", "bob@tenant.example", "x*y@tenant.example")
DIALOGUE = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<>
    S: 250
    C: RCPT TO:<{}>
    S: {}
"""
CASES = [
    ("ann@tenant.example", 250),
    ("ANN+tag@Tenant.Example", 250),
    ("postmaster@tenant.example", 250),
    ("carol@tenant.example", "550 5.1.1 No such mailbox*"),
    ("*@tenant.example", "550 5.1.1 No such mailbox*"),
    ("a*@tenant.example", "550 5.1.1 No such mailbox*"),
    ("x*y@tenant.example", 250),
    ("'or'1'@tenant.example", "550 5.1.1 No such mailbox*"),
    ("ann@elsewhere.example", "550 5.7.1 Relaying denied*"),
    ("any@example.com", 250),
]


@pytest.fixture
def sql(tmp_path):
    with closing(sqlite3.connect(tmp_path / "mail.db")) as database:
        database.execute(
            "create table mailboxes (user text, domain text, primary key (domain, user))"
        )
        rows = [one.split("@") for one in MAILBOXES]
        database.executemany("insert into mailboxes values (?, ?)", rows)
        database.commit()
    return SqlRecipients(database=str(tmp_path / "mail.db"))


@pytest.mark.parametrize(("address", "reply"), CASES)
def test_mailboxes_of_a_database(sql, address, reply):
    play(DIALOGUE.format(address, reply), [sql])


def test_a_database_that_cannot_be_read_defers(tmp_path):
    (tmp_path / "mail.db").write_text("no database")
    plugin = SqlRecipients(database=str(tmp_path / "mail.db"))
    play(DIALOGUE.format("ann@tenant.example", 451), [plugin])


@pytest.fixture(scope="module")
def directory(packages, tmp_path_factory):
    if reason := slapd.why_not():
        pytest.skip(f"slapd is missing: {reason}")
    with slapd.running(tmp_path_factory.mktemp("slapd"), MAILBOXES) as server:
        yield server.url


@pytest.fixture
def ldap(packages):
    """Return a function that makes the plugin."""
    recipe = importlib.import_module("examples.ldap_recipients")
    yield lambda url: recipe.LdapRecipients(url=url, base=slapd.BASE)
    with warnings.catch_warnings():
        # ldap3 does not close the socket if the server has closed the connection first
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.slow
@pytest.mark.parametrize(("address", "reply"), CASES)
def test_mailboxes_of_a_directory(ldap, directory, address, reply):
    play(DIALOGUE.format(address, reply), [ldap(directory)])


def test_a_directory_that_does_not_answer_defers(ldap):
    play(DIALOGUE.format("ann@tenant.example", 451), [ldap("ldap://127.0.0.1:1")])
