"""Delivery to a real Postfix with its sendmail command."""

import asyncio
from pathlib import Path

import pytest
from tests.delivery.samples import NULL_PATH, SENDER, delivery, message, recipient
from tests.e2e.server import eventually
from tools import peers, postfix

from gatepost.config.schema import RouteConfig
from gatepost.delivery.registry import make_target


@pytest.fixture
def mail():
    if why := postfix.why_not():
        pytest.skip(why)
    main = {"export_environment": "LD_LIBRARY_PATH MAIL_CONFIG"}
    with postfix.running(main, ["pickup unix n - n 60 1 pickup"]) as running:
        yield running


def sendmail(mail):
    """Return the target; an unpacked program needs the path of its libraries."""
    command = peers.find("postfix")
    program = Path(command.prefix[0]).parents[2] / "usr/sbin/sendmail"
    libraries = command.env["LD_LIBRARY_PATH"]
    line = f"/usr/bin/env LD_LIBRARY_PATH={libraries} {program} -C {mail.folder}/etc"
    return make_target(
        RouteConfig(to=f"sendmail:{line}"), base=mail.folder, hostname="mx.example.com"
    )


@pytest.mark.parametrize("sender", [SENDER, NULL_PATH])
def test_postfix_accepts_the_message_for_all_recipients(mail, sender):
    people = recipient("one@example.com"), recipient("two@example.com")
    content = message(b"Subject: x\r\n\r\n.\r\nmore\r\n")
    failures = asyncio.run(sendmail(mail).deliver(delivery(*people, of=content, sender=sender)))
    assert not failures, mail.log()
    eventually(lambda: len(mail.delivered()) == 2)
    for person in people:
        (one,) = mail.mails(str(person.address))
        assert one.startswith(f"Return-Path: <{sender}>\n".encode())
        assert b"\nSubject: x\n" in one
        assert one.endswith(b"\n\n.\nmore\n")


def test_a_postfix_that_cannot_queue_defers_the_message(mail):
    target = sendmail(mail)
    (mail.folder / "etc/main.cf").unlink()
    failures = asyncio.run(target.deliver(delivery(recipient("one@example.com"))))
    (error,) = failures.values()
    assert not error.permanent
    assert "main.cf" in error.detail
