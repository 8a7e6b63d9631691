"""Full mailboxes: beside a real Dovecot that fills and empties them, beside Courier, queued."""

import re
import smtplib
import subprocess

import pytest
from tests.e2e.clients import program
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import eventually
from tools import dovecot

from gatepost.delivery.maildir.count import tally
from gatepost.delivery.maildir.maildirsize import Limits, parse

# It has no limits of its own: it takes them from maildirsize.
QUOTA = """
mail_plugins = quota
plugin {
  quota = maildir:User quota
  quota_rule = Trash:ignore
}
"""
ROUTE = 'maildir = { quota = "100KB", quota_messages = 3 }'
# What names the message in a reply.
REFERENCE = re.compile(r"(?:, \S+| \[\S+\])$")
CONTENT = b"Subject: x\r\n\r\n" + b"x" * 900 + b"\r\n"
TAKEN = "250 2.0.0 Ok"
FULL = "452 4.2.2 The mailbox is full, please try again later"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Dovecot, and the server before it: what it delivers lies where Dovecot looks for it."""
    if why := dovecot.why_not():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("server")
    with dovecot.running(QUOTA) as store:
        (folder / "mail").symlink_to(store.folder / "mail")
        with serving(folder, route=ROUTE) as server:
            yield House(store, server)


def answer(port, *boxes):
    """Send a message; return the reply to its end, without what names it."""
    with Raw(port) as client:
        *output, data = client.exchange(*envelope(*boxes), "DATA")
        assert {*codes(output), data[:3]} == {"250", "354"}
        client.send(stuffed(CONTENT))
        return REFERENCE.sub("", client.reply())


class House:
    def __init__(self, store, server):
        self.store = store
        self.server = server

    def send(self, box):
        """Send a message; return what was answered at its end."""
        reply = answer(self.server.port, box)
        self.store.own()
        return reply

    def maildir(self, box):
        local, _, domain = box.partition("@")
        return self.store.folder / "mail" / domain / local

    def doveadm(self, verb, box, *words):
        return self.store.doveadm(*verb.split(), "-u", box, *words)

    def used(self, box):
        """Return what both say that a mailbox holds, once it is seen to be the same."""
        contents = parse((self.maildir(box) / "maildirsize").read_bytes())
        assert contents.limits == Limits(100_000, 3)
        rows = {row["Type"]: row for row in self.doveadm("quota get", box)}
        assert rows["STORAGE"]["Value"] == str(-(-contents.usage.octets // 1024))
        assert rows["STORAGE"]["Limit"] == str(100_000 // 1024 + 1)
        assert rows["MESSAGE"]["Value"] == str(contents.usage.messages)
        assert rows["MESSAGE"]["Limit"] == "3"
        return contents.usage


def test_dovecot_sees_the_same_numbers(house):
    box = house.server.address()
    for number in range(1, 4):
        assert house.send(box) == TAKEN
        assert house.used(box) == tally(house.maildir(box))
        assert house.used(box).messages == number
    assert house.send(box) == FULL
    assert house.used(box).messages == 3


@pytest.mark.parametrize("verb", ["expunge", "move Trash"])
def test_what_dovecot_removes_makes_room(house, verb):
    box = house.server.address()
    for _ in range(3):
        house.send(box)
    verb, *folder = verb.split()
    for name in folder:
        house.doveadm("mailbox create", box, name)
    house.doveadm(verb, box, *folder, "mailbox", "INBOX", "1")
    assert house.used(box).messages == 2
    assert house.send(box) == TAKEN
    assert house.send(box) == FULL


def test_what_dovecot_takes_counts(house):
    box = house.server.address()
    for _ in range(2):
        house.send(box)
    with smtplib.LMTP("127.0.0.1", house.store.port) as client:
        assert client.sendmail("sender@client.example", box, CONTENT) == {}
    assert house.used(box).messages == 3
    assert house.send(box) == FULL
    house.doveadm("expunge", box, "mailbox", "INBOX", "all")  # its lines end in LF, no mail of ours
    assert house.used(box).messages == 0


def test_dovecot_says_no_when_we_have_filled_it(house):
    box = house.server.address()
    for _ in range(3):
        house.send(box)
    with (
        smtplib.LMTP("127.0.0.1", house.store.port) as client,
        pytest.raises(smtplib.SMTPDataError, match="Quota exceeded"),
    ):
        client.sendmail("sender@client.example", box, CONTENT)
    assert house.used(box).messages == 3


def test_dovecot_reads_the_folder_that_mail_is_put_into(tmp_path, house):
    route = 'maildir = { folder = ".Junk", quota = "100KB", quota_messages = 3 }'
    (tmp_path / "mail").symlink_to(house.store.folder / "mail")
    box = f"junk-{house.server.address()}"
    with serving(tmp_path, route=route) as server:
        assert answer(server.port, box) == TAKEN
    house.store.own()
    (row,) = house.doveadm("mailbox status", box, "messages", "Junk")
    assert row["messages"] == "1"
    assert house.used(box).messages == 1


def test_courier_and_we_share_the_count(tmp_path):
    courier = program("deliverquota")

    def deliver():
        argv = courier.argv(root)
        return subprocess.run(argv, env=courier.env, input=CONTENT, check=False).returncode

    with serving(tmp_path, route=ROUTE) as server:
        box = server.address()
        local, _, domain = box.partition("@")
        root = server.maildir(domain, local)
        assert [answer(server.port, box), deliver()] == [TAKEN, 0]
        assert parse((root / "maildirsize").read_bytes()).usage == tally(root)
        assert [answer(server.port, box), deliver()] == [TAKEN, 77]  # EX_NOPERM: it is full
        assert answer(server.port, box) == FULL
        assert parse((root / "maildirsize").read_bytes()) == (Limits(100_000, 3), tally(root), 1)


LMTP = """
[[listen]]
address = "unix:lmtp"
protocol = "lmtp"
"""


def test_lmtp_has_an_answer_for_each(tmp_path):
    with serving(tmp_path, LMTP, route="maildir = { quota_messages = 1 }") as server:
        full, other = server.address(), server.address()
        assert answer(server.port, full) == TAKEN
        with smtplib.LMTP(str(tmp_path / "lmtp")) as client:
            for command in ("LHLO client.example", *envelope(full, other), "DATA"):
                client.docmd(command)
            client.send(stuffed(CONTENT))
            replies = [client.getreply() for _ in range(2)]
        assert [code for code, _ in replies] == [452, 250]
        assert (len(server.mails(full)), len(server.mails(other))) == (1, 1)


def test_the_queue_tries_again_and_others_do_not_wait(tmp_path):
    extra = '\n[queue]\nretry = ["1s"]\n'
    route = 'mode = "queue"\nmaildir = { quota_messages = 1 }'
    with serving(tmp_path, extra, route=route) as server:
        full, other = server.address(), server.address()
        answer(server.port, full)
        (first,) = eventually(lambda: server.mails(full))
        assert answer(server.port, full, other) == TAKEN
        eventually(lambda: server.mails(other))
        eventually(lambda: "4.2.2" in (tmp_path / "log").read_text())
        local, _, domain = full.partition("@")
        root = server.maildir(domain, local)
        for path in (*root.glob("new/*"), root / "maildirsize"):
            path.unlink()
        (second,) = eventually(lambda: server.mails(full))
        assert second.session != first.session
        assert len(server.mails(other)) == 1


def test_a_full_mailbox_does_not_hold_up_the_queue_to_others(tmp_path):
    """All Maildirs of a route are one destination, which did answer."""
    extra = '\n[queue]\nretry = ["1h"]\n'
    route = 'mode = "queue"\nmaildir = { quota_messages = 1 }'
    with serving(tmp_path, extra, route=route) as server:
        full, other = server.address(), server.address()
        answer(server.port, full)
        eventually(lambda: server.mails(full))
        answer(server.port, full)
        eventually(lambda: "4.2.2" in (tmp_path / "log").read_text())
        answer(server.port, other)
        eventually(lambda: server.mails(other))
