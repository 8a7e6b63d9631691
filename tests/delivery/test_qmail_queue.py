"""The target `qmail-queue:`, against a program that follows qmail-queue(8)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.contract import Contract
from tests.delivery.programs import deliver, python, script
from tests.delivery.samples import NULL_PATH, delivery, recipient

from gatepost.config.schema import RouteConfig
from gatepost.delivery.program.command_line import UnsafeValueError
from gatepost.delivery.program.qmail_queue import (
    ADDRESS_TOO_LONG,
    MEANINGS,
    REFUSED,
    QmailQueueTarget,
    check_exit,
)
from gatepost.delivery.program.runner import NOT_DELIVERED, ExitResult
from gatepost.delivery.registry import make_target
from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.facts import set_fact

# Reads the message, then the envelope; queues only if both are complete.
QUEUE = r"""
import os, shutil, sys
name = f"{os.path.dirname(sys.argv[0])}/{os.getpid()}"
with open(0, "rb") as message, open(f"{name}.part", "wb") as file:
    shutil.copyfileobj(message, file)
with open(1, "rb", closefd=False) as descriptor:
    envelope = descriptor.read()
if not envelope.endswith(b"\0\0"):
    sys.exit(54)
sender, *recipients = envelope[:-2].split(b"\0")
if sender[:1] != b"F" or not all(one[:1] == b"T" for one in recipients):
    sys.exit(91)
with open(f"{name}.envelope", "wb") as file:
    file.write(envelope)
os.rename(f"{name}.part", f"{name}.whole")
"""


def target(base, command):
    return make_target(
        RouteConfig(to=f"qmail-queue:{command}"), base=base, hostname="mx.example.com"
    )


def queued(base, what):
    assert deliver(target(base, python(base, QUEUE)), what) is None
    (envelope,) = (path.read_bytes() for path in base.glob("*.envelope"))
    return envelope.decode()


class TestContract(Contract):
    one_copy = True

    def target(self, base):
        return target(base, python(base, QUEUE))

    def kept(self, base):
        read = (path.read_bytes() for path in sorted(base.glob("*.whole")))
        return [content.replace(b"\n", b"\r\n") for content in read]


def test_the_envelope_has_the_sender_and_all_recipients(tmp_path):
    people = recipient("A+x@example.com"), recipient(r'"a\"b@c"@example.com'), recipient("Admin")
    assert queued(tmp_path, delivery(*people)).split("\0") == [
        "Fsender@example.net",
        "TA+x@example.com",
        'Ta"b@c@example.com',
        "TAdmin@mx.example.com",
        "",
        "",
    ]


def test_the_null_reverse_path_is_empty(tmp_path):
    what = delivery(recipient("a@example.com"), sender=NULL_PATH)
    assert queued(tmp_path, what) == "F\0Ta@example.com\0\0"


def test_a_long_envelope_is_complete(tmp_path):
    people = [recipient(f"{'x' * 200}{number}@example.com") for number in range(2000)]
    assert queued(tmp_path, delivery(*people)).count("\0T") == 2000


@given(st.lists(st.text(), min_size=1, max_size=3), st.text())
def test_no_address_adds_to_the_envelope(locals_, sender):
    people = [recipient("a@example.com") for _ in locals_]
    for person, local in zip(people, locals_, strict=True):
        set_fact(person, "address", Address(local, "example.com"))
    made = QmailQueueTarget("/x", base=Path("/"), hostname="h", runner=None)
    try:
        envelope = b"".join(made._envelope(delivery(*people, sender=Address(sender, "x.example"))))
    except UnsafeValueError:
        return
    first, *rest = envelope.removesuffix(b"\0\0").decode().split("\0")
    assert first == f"F{sender}@x.example"
    assert rest == [f"T{local}@example.com" for local in locals_]


def failure(status, output):
    with pytest.raises(DeliveryError) as caught:
        check_exit("prog", ExitResult(status, output))
    return caught.value


@pytest.mark.parametrize("status", [51, 53, 54, 62, 71, 73, 81, 91, 1, 10, 41, 111, -9])
def test_other_statuses_are_temporary(status):
    error = failure(status, "text")
    assert (error.permanent, error.reply, error.text) == (False, None, NOT_DELIVERED)
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    meant = f" ({MEANINGS[status]})" if status in MEANINGS else ""
    assert error.detail == f"qmail-queue: prog: {how}{meant}: text"


@pytest.mark.parametrize(
    ("status", "reply"), [(11, ADDRESS_TOO_LONG), (12, REFUSED), (31, REFUSED), (40, REFUSED)]
)
def test_statuses_from_11_to_40_are_permanent(status, reply):
    error = failure(status, "")
    assert (error.permanent, error.reply, error.text) == (True, reply, reply.text)


def test_the_status_is_for_all_recipients(tmp_path):
    people = recipient("a@example.com"), recipient("b@example.com")
    with pytest.raises(DeliveryError, match=r"exit status 53 \(write error, such as a full disk\)"):
        deliver(target(tmp_path, script(tmp_path, "exit 53")), delivery(*people))
