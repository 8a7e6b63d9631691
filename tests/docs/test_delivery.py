"""docs/delivery.md describes the targets as they are."""

import asyncio
import re

import pytest
from tests.delivery.samples import delivery, recipient
from tests.docs.pages import FENCE, blocks, page, rows, section

from gatepost.delivery.program import qmail_queue
from gatepost.delivery.program.command_line import FIELDS
from gatepost.delivery.program.runner import NOT_DELIVERED
from gatepost.delivery.program.sendmail import BATCH
from gatepost.delivery.program.sysexits import PERMANENT
from gatepost.delivery.registry import BUILT_IN
from gatepost.delivery.target import DeliveryError, Target, TargetSpec


def listed(heading):
    return rows(section("delivery", heading))


def test_every_target_is_listed():
    assert [re.match(r"`([\w-]+):", row[0])[1] for row in listed("Delivery")] == [*BUILT_IN]


def test_every_field_is_explained():
    named = re.findall(r"\{(\w+)\}", " ".join(row[0] for row in listed("Fields")))
    assert sorted(named) == sorted(FIELDS)


def test_every_exit_status_is_listed():
    table = listed("Pipe")
    expected = [[f"{status} ({name})", f"`{reply}`"] for status, (name, reply) in PERMANENT.items()]
    assert table[1:-1] == expected
    assert table[-1][1] == f"`451 4.3.0 {NOT_DELIVERED}`"


def test_every_reply_for_qmail_queue_is_listed():
    answers = [row[1] for row in listed("qmail-queue")]
    refusals = [f"`{reply}`" for reply in (qmail_queue.ADDRESS_TOO_LONG, qmail_queue.REFUSED)]
    assert answers == ["250", *refusals, f"`451 4.3.0 {NOT_DELIVERED}`"]


def test_the_recipients_of_one_run_of_sendmail_are_limited():
    assert f"a run for each {BATCH}" in " ".join(section("delivery", "Sendmail").split())


def test_every_part_of_the_contract_is_listed():
    text = FENCE.sub("", page("delivery")).partition("## Write a target")[2]
    named = {name for row in rows(text) for name in re.findall(r"`(\w+)", row[0])}
    assert named == {name for name in vars(Target) if not name.startswith("_")}


def test_the_sample_of_a_target_delivers(tmp_path):
    module = {"__name__": "mail_archive"}
    exec(blocks("delivery", "python")[0], module)

    async def run(text):
        target = module["Archive"].from_route(TargetSpec("archive", text, None, tmp_path, "h"))
        assert await target.deliver(delivery(recipient("a@example.com"))) is None

    asyncio.run(run("all"))
    asyncio.run(run("all"))
    assert (tmp_path / "all").read_bytes() == b"Subject: x\r\n\r\nHello\r\n" * 2
    with pytest.raises(DeliveryError, match="No such file"):
        asyncio.run(run("absent/all"))
