"""Postfix's lines (in `logs`), written for these tests in the formats of its manual."""

import pytest
from tests.importers.read import dull, read, recipients, sample, survives

from gatepost.importers.postfix.importer import PostfixImporter
from gatepost.importers.transaction import Ending, Verdict

ACCEPTED = sample("postfix-accepted")

REFUSED = sample("postfix-refused")

POSTSCREEN = sample("postfix-postscreen")


def test_an_accepted_message_has_the_facts_of_all_programs():
    [found] = read(PostfixImporter(), ACCEPTED)
    assert recipients(found) == {"a@example.com": "accepted", "b@example.com": "accepted"}
    assert (found.client, found.name, found.sender) == (
        "192.0.2.1",
        "mail.example.org",
        "jo@example.org",
    )
    assert (found.ending, found.size, found.log_id) == (Ending.ACCEPTED, 1234, "4Xyz12ABCD")
    assert (found.verdict, found.score) == (Verdict.CLEAN, -1.9)
    assert (found.has_tls, found.dmarc, found.dkim) == (True, "pass", ["example.org"])
    assert (found.message_id, found.is_trusted) == ("<m1@example.org>", False)
    assert found.ended - found.time == 1


def test_refused_recipients_are_unknown_or_refused_or_deferred():
    [found] = read(PostfixImporter(), REFUSED)
    assert recipients(found) == {
        "x@example.com": "unknown",
        "y@example.org": "refused",
        "z@example.com": "deferred",
    }
    assert (found.sender, found.helo, found.name) == ("s@example.net", "[198.51.100.9]", "")
    assert found.ending is Ending.ABANDONED
    assert found.recipients["x@example.com"].reply.startswith("550 5.1.1")


def test_a_session_that_ends_with_quit_is_refused():
    text = "\n".join(line for line in REFUSED.splitlines() if "lost connection" not in line)
    [found] = read(PostfixImporter(), text)
    assert found.ending is Ending.REFUSED


def test_another_sender_in_a_session_is_another_transaction():
    text = REFUSED.replace("from=<s@example.net> to=<z", "from=<t@example.net> to=<z")
    first, second = read(PostfixImporter(), text)
    assert (len(first.recipients), len(second.recipients)) == (2, 1)
    assert (first.ending, second.ending) == (Ending.REFUSED, Ending.ABANDONED)


def test_postscreen_is_read():
    [found] = read(PostfixImporter(), POSTSCREEN)
    assert (found.client, found.helo, found.ending) == ("203.0.113.5", "host", Ending.REFUSED)
    assert recipients(found) == {"a@example.com": "refused"}


def merged(sender):
    refusal = (
        "Feb 22 09:00:01 mx postfix/smtpd[101]: NOQUEUE: reject: RCPT from"
        " mail.example.org[192.0.2.1]: 550 5.1.1 <no@example.com>: User unknown;"
        f" from=<{sender}> to=<no@example.com> proto=ESMTP helo=<mail.example.org>"
    )
    first, *rest = [line for line in ACCEPTED.splitlines() if line and "TLS" not in line]
    return read(PostfixImporter(), "\n".join([first, refusal, *rest]))


def test_a_recipient_refused_before_the_first_accepted_one_is_in_the_same_transaction():
    [found] = merged("jo@example.org")
    assert recipients(found)["no@example.com"] == "unknown"
    assert (len(found.recipients), found.helo) == (3, "mail.example.org")


def test_a_recipient_of_another_sender_is_in_another_transaction():
    refused, accepted = merged("other@example.org")
    assert recipients(refused) == {"no@example.com": "unknown"}
    assert len(accepted.recipients) == 2


def test_a_recipient_refused_after_an_accepted_one_is_in_the_same_transaction():
    refusal = (
        "Feb 22 09:00:02 mx postfix/smtpd[101]: 4Xyz12ABCD: reject: RCPT from"
        " mail.example.org[192.0.2.1]: 550 5.1.1 <no@example.com>: User unknown;"
        " from=<jo@example.org> to=<no@example.com> proto=ESMTP helo=<h>"
    )
    lines = ACCEPTED.strip().splitlines()
    [found] = read(PostfixImporter(), "\n".join([*lines[:3], refusal, *lines[3:]]))
    assert recipients(found)["no@example.com"] == "unknown"


def test_a_milter_that_refuses_the_content_is_a_content_filter():
    text = "\n".join(ACCEPTED.strip().splitlines()[:4]) + (
        "\nFeb 22 09:00:03 mx postfix/cleanup[102]: 4Xyz12ABCD: milter-reject: END-OF-MESSAGE from"
        " mail.example.org[192.0.2.1]: 5.7.1 Spam message rejected; from=<jo@example.org>"
        " to=<a@example.com> proto=ESMTP helo=<h>"
    )
    [found] = read(PostfixImporter(), text)
    assert (found.ending, found.verdict) == (Ending.REFUSED, Verdict.SPAM)
    assert found.sender == "jo@example.org"
    assert found.reply.endswith("5.7.1 Spam message rejected")


def test_a_connection_lost_in_the_content_is_an_abandoned_transaction():
    text = "\n".join(ACCEPTED.strip().splitlines()[:3]) + (
        "\nFeb 22 09:00:30 mx postfix/smtpd[101]: lost connection after DATA (9 bytes) from"
        " mail.example.org[192.0.2.1]"
    )
    [found] = read(PostfixImporter(), text)
    assert found.ending is Ending.ABANDONED


def test_an_unknown_recipient_that_the_next_hop_bounces_is_unknown():
    text = ACCEPTED.replace(
        "dsn=2.0.0, status=sent (250 2.0.0 Saved)",
        "dsn=5.1.1, status=bounced (host d said: 550 5.1.1 User unknown)",
    )
    [found] = read(PostfixImporter(), text)
    assert recipients(found)["b@example.com"] == "unknown"


def test_users_and_local_programs_are_trusted():
    user = ACCEPTED.replace(
        "client=mail.example.org[192.0.2.1]",
        "client=mail.example.org[192.0.2.1], sasl_method=PLAIN, sasl_username=jo",
    )
    [found] = read(PostfixImporter(), user)
    assert (found.user, found.is_trusted) == ("jo", True)
    [found] = read(PostfixImporter(), sample("postfix-local"))
    assert (found.is_trusted, recipients(found)) == (True, {"jo@example.org": "accepted"})


def test_rspamd_has_a_verdict_and_a_score():
    line = (
        "Feb 22 09:00:04 mx rspamd[5]: <a1b2>; task; rspamd_task_write_log: id: <m1@example.org>,"
        " qid: <4Xyz12ABCD>, ip: 192.0.2.1, from: <jo@example.org>, (default: T (reject):"
        " [16.50/15.00] [BAYES_SPAM(5.1){}]), len: 1234"
    )
    text = "\n".join(line if "amavis" in one else one for one in ACCEPTED.splitlines())
    [found] = read(PostfixImporter(), text)
    assert (found.verdict, found.score) == (Verdict.SPAM, 16.5)


def test_lines_of_other_programs_are_not_read():
    text = "Feb 22 09:00:04 mx dovecot: imap-login: Login: user=<jo>"
    assert read(PostfixImporter(), text) == []


def test_a_session_in_the_middle_of_which_the_log_starts_is_read():
    [found] = read(PostfixImporter(), "\n".join(REFUSED.strip().splitlines()[1:]))
    assert len(found.recipients) == 3


def test_what_a_client_sends_cannot_end_a_reply():
    """A HELO name or sender with the text of an envelope does not replace the real one."""
    text = REFUSED.replace(
        "<x@example.com>: Recipient address rejected",
        "<x@example.com>; from=<f@example.org> to=<f@example.com> proto=ESMTP helo=<f>: rejected",
    )
    [found] = read(PostfixImporter(), text)
    assert (found.sender, "f@example.com" in found.recipients) == ("s@example.net", False)


def test_open_sessions_are_bounded_and_the_oldest_is_dropped():
    importer = PostfixImporter(2)
    lines = [
        f"Feb 22 09:00:0{at} mx postfix/smtpd[{at}]: connect from unknown[192.0.2.{at}]"
        for at in range(5)
    ]
    assert read(importer, "\n".join(lines)) == []
    assert importer.dropped == 3


def test_an_idle_session_is_over_after_an_hour():
    text = "\n".join(REFUSED.strip().splitlines()[:2]) + (
        "\nFeb 22 11:00:00 mx postfix/smtpd[999]: connect from unknown[192.0.2.9]"
    )
    [found] = read(PostfixImporter(), text)
    assert found.ending is Ending.REFUSED


@pytest.mark.parametrize("program", ["smtpd", "cleanup", "qmgr", "local", "postscreen", "pickup"])
def test_a_huge_line_costs_no_more_than_its_length(program):
    start = f"Feb 22 09:00:00 mx postfix/{program}[1]: "
    pieces = [
        "; from=<",
        "<",
        "4XABC: ",
        "; from=<> to=<> proto=E",
        " ",
        "reject: RCPT from a[b]: ",
    ]
    dull(PostfixImporter, start, [*pieces, "to=<a>, relay=b,"])


test_any_lines_are_read_without_an_error = survives(
    PostfixImporter, ACCEPTED + REFUSED + POSTSCREEN
)
