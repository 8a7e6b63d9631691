"""docs/delivery.md describes the targets as they are."""

import re

from tests.docs.pages import rows, section

from gatepost.delivery.program import qmail_queue
from gatepost.delivery.program.arguments import FIELDS
from gatepost.delivery.program.program import NOT_NOW
from gatepost.delivery.program.sendmail import BATCH
from gatepost.delivery.program.sysexits import PERMANENT
from gatepost.delivery.registry import TARGETS


def listed(heading):
    return rows(section("delivery", heading))


def test_every_target_is_listed():
    assert [re.match(r"`([\w-]+):", row[0])[1] for row in listed("Delivery")] == [*TARGETS]


def test_every_field_is_explained():
    named = re.findall(r"\{(\w+)\}", " ".join(row[0] for row in listed("Fields")))
    assert sorted(named) == sorted(FIELDS)


def test_every_exit_status_is_listed():
    table = listed("Pipe")
    expected = [[f"{status} ({name})", f"`{reply}`"] for status, (name, reply) in PERMANENT.items()]
    assert table[1:-1] == expected
    assert table[-1][1] == f"`451 4.3.0 {NOT_NOW}`"


def test_every_reply_for_qmail_queue_is_listed():
    answers = [row[1] for row in listed("qmail-queue")]
    refusals = [f"`{reply}`" for reply in (qmail_queue.ADDRESS_TOO_LONG, qmail_queue.REFUSED)]
    assert answers == ["taken", *refusals, f"`451 4.3.0 {NOT_NOW}`"]


def test_the_recipients_of_one_run_of_sendmail_are_limited():
    assert f"beyond {BATCH} recipients" in " ".join(section("delivery", "Sendmail").split())
