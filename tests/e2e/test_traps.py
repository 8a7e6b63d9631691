"""A trap among the recipients refuses the message for all of them."""

import subprocess

import pytest
from tests.e2e.clients import CLIENTS, Message, python, smtp_source, swaks
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import GATEPOST, eventually

CONTENT = b"Subject: sample\r\n\r\nsome text\r\n"
REFUSED = "554 5.7.1 Message refused by local policy"
TRAPS = ("trap@open.example", "TRAP+tag@Open.Example", "anyone@spoilt.open.example")
PLACES = {"first": 0, "middle": 2, "last": 4}


def with_trap(server, place, trap=TRAPS[0]):
    """Return five recipients, the trap among them."""
    recipients = [server.address() for _ in range(4)]
    recipients.insert(PLACES[place], trap)
    return tuple(recipients)


def none_delivered(server, recipients):
    return not any(server.mails(recipient) for recipient in recipients)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "smtp-source"])
def test_a_client_receives_554(server, tmp_path, client, place):
    recipients = with_trap(server, place)
    outcome = CLIENTS[client](server.port, tmp_path, Message(recipients, CONTENT))
    assert not outcome.sent
    assert REFUSED.removeprefix("554 ") in outcome.output
    assert "554" in outcome.output
    assert none_delivered(server, recipients)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("place", PLACES)
def test_pipelined_commands_of_swaks_are_refused(server, tmp_path, place, trap):
    recipients = with_trap(server, place, trap)
    outcome = swaks(server.port, tmp_path, Message(recipients, CONTENT), "--pipeline")
    assert not outcome.sent
    assert f"<** {REFUSED} [" in outcome.output
    assert none_delivered(server, recipients)


@pytest.mark.parametrize("trap", ["5box", "3box", "box"])
def test_each_recipient_of_smtp_source_can_be_a_trap(tmp_path, trap):
    """smtp-source numbers its recipients from 5box down to 2box, then box."""
    with serving(tmp_path, traps=[f"{trap}@open.example"]) as server:
        message = Message(("box@open.example",), CONTENT)
        outcome = smtp_source(server.port, tmp_path, message, "-r5", "-m3")
        assert REFUSED in outcome.output
        assert server.delivered() == []


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("place", PLACES)
def test_the_transaction_ends_and_the_connection_stays(server, place, trap):
    recipients, box = with_trap(server, place, trap), server.address()
    with Raw(server.port) as client:
        *before, refusal = client.exchange(*envelope(*recipients), "DATA")
        assert codes(before) == ["250"] * 6
        assert refusal.startswith(REFUSED)
        assert codes(client.exchange(f"RCPT TO:<{box}>", "DATA")) == ["503", "503"]
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(CONTENT))
        assert client.reply()[:3] == "250"
    assert none_delivered(server, recipients)
    assert [mail.content for mail in server.mails(box)] == [CONTENT]


@pytest.mark.parametrize("place", PLACES)
def test_pipelined_transactions_have_their_replies_in_order(tolerant, place):
    server = tolerant
    recipients, box = with_trap(server, place), server.address()
    commands = [*envelope(*recipients), "DATA", "RSET", *envelope(box), "DATA"]
    with Raw(server.port) as client:
        replies = client.exchange(*commands)
        assert codes(replies) == ["250"] * 6 + ["554", "250", "250", "250", "354"]
        client.send(stuffed(CONTENT))
        assert client.reply()[:3] == "250"
    assert none_delivered(server, recipients)
    assert len(server.mails(box)) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_chunks_after_a_trap_are_read_and_dropped(server, place, step):
    recipients, box = with_trap(server, place), server.address()
    inside = b"Subject: x\r\n\r\nQUIT\r\nRSET\r\n"
    octets = b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % ((len(inside), inside) * 2)
    with Raw(server.port) as client:
        assert codes(client.exchange(*envelope(*recipients))) == ["250"] * 6
        client.send(*(octets[at : at + step] for at in range(0, len(octets), step)))
        assert client.reply().startswith(REFUSED)
        assert client.reply()[:3] == "503"
        assert codes(client.exchange(*envelope(box))) == ["250"] * 2
        client.send(b"BDAT %d LAST\r\n%s" % (len(CONTENT), CONTENT))
        assert client.reply()[:3] == "250"
    assert none_delivered(server, recipients)
    assert [mail.content for mail in server.mails(box)] == [CONTENT]


def test_rset_clears_the_trap(server):
    box = server.address()
    with Raw(server.port) as client:
        assert codes(client.exchange(*envelope(*TRAPS), "RSET")) == ["250"] * 5
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(CONTENT))
        assert client.reply()[:3] == "250"
    assert [mail.content for mail in server.mails(box)] == [CONTENT]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("client", [python, swaks])
def test_a_trap_without_a_mailbox_refuses_the_message(server, tmp_path, client, place):
    """The trap is refused at RCPT, and the message for the other four recipients too."""
    recipients = with_trap(server, place, "trap@example.com")
    outcome = client(server.port, tmp_path, Message(recipients, CONTENT))
    assert not outcome.sent
    assert REFUSED in outcome.output
    assert none_delivered(server, recipients)


OPINIONS = '''\
"""Answer RCPT by the local part."""
from gatepost import Plugin, accept, defer, deny


class Opinions(Plugin):
    def on_rcpt(self, tx, rcpt):
        match rcpt.address.local:
            case "accepted":
                return accept()
            case "refused":
                return deny("not here")
            case "deferred":
                return defer("not now")
            case "crashing":
                raise RuntimeError("broken")
'''
CODES = {"accepted": "250", "refused": "550", "deferred": "450", "crashing": "451"}


@pytest.fixture(scope="module")
def opinionated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opinionated")
    (folder / "opinions.py").write_text(OPINIONS)
    with serving(folder, '[[plugin]]\nuse = "opinions.py"\n') as server:
        yield server


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("opinion", CODES)
def test_no_decision_of_a_plugin_hides_the_trap(opinionated, opinion, place):
    server, trap = opinionated, f"{opinion}@spoilt.open.example"
    recipients = with_trap(server, place, trap)
    with Raw(server.port) as client:
        _, *answers = client.exchange(*envelope(*recipients))
        expected = ["250"] * 4
        expected.insert(PLACES[place], CODES[opinion])
        assert codes(answers) == expected
        assert client.exchange("DATA")[0].startswith(REFUSED)
    assert none_delivered(server, recipients)


def test_an_added_trap_takes_effect_and_a_removed_one_does_not(own_server, tmp_path):
    box = own_server.address()
    traps = own_server.folder / "traps"

    def is_refused():
        outcome = python(own_server.port, tmp_path, Message((box,), CONTENT))
        assert outcome.sent or outcome.output.startswith("554 5.7.1")
        return not outcome.sent

    assert not is_refused()
    before = traps.read_text()
    with traps.open("a") as file:
        file.write(f"{box} seen on a list of addresses\n")
    eventually(is_refused)
    replaced = traps.with_name("traps.new")
    replaced.write_text(before)
    replaced.replace(traps)
    eventually(lambda: not is_refused())


def test_a_registered_trap_follows_its_state_in_all_workers(own_server, tmp_path):
    box = own_server.address("kim.larsen")

    def gatepost(*words):
        argv = [GATEPOST, "traps", *words, "-c", own_server.folder / "gatepost.toml"]
        subprocess.run(argv, check=True, capture_output=True)

    def is_refused():
        return not python(own_server.port, tmp_path, Message((box,), CONTENT)).sent

    gatepost("add", box, "--note", "on the press page")
    eventually(is_refused)
    gatepost("shadow", box)
    eventually(lambda: not is_refused())
    gatepost("arm", box, "--force")  # mail to it has just been accepted
    eventually(is_refused)
    with (own_server.folder / "users").open("a") as users:
        users.write(f"{box}\n")
    eventually(lambda: not is_refused())
    registry = own_server.folder / "var" / "registry"
    eventually(lambda: " state=retired the address is a known recipient\n" in registry.read_text())


def test_the_delay_does_not_block_other_clients(tmp_path):
    with serving(tmp_path, delay="1m") as server:
        box = server.address()
        with Raw(server.port) as trapped, Raw(server.port) as other:
            trapped.send(b"MAIL FROM:<>\r\nRCPT TO:<trap@open.example>\r\nDATA\r\n")
            assert codes([trapped.reply(), trapped.reply()]) == ["250", "250"]
            assert codes(other.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
            other.send(stuffed(CONTENT))
            assert other.reply()[:3] == "250"
            assert not trapped.has_reply()
            trapped.reset()
        assert len(server.mails(box)) == 1
