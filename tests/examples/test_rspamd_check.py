"""The recipe for rspamd, with a real rspamd whose actions follow from the subject."""

import pytest
from examples.rspamd_check import RspamdCheck

from gatepost import Plugin
from gatepost.testing import play

pytestmark = pytest.mark.slow
RULES = """
rspamd_config.TEST = {
  type = 'prefilter',
  callback = function(task)
    local subject = task:get_header('Subject')
    if subject == 'fields' then
      task:set_milter_reply({
        remove_headers = { ['X-Old'] = 0 },
        add_headers = { ['X-Text'] = 'a', ['X-Many'] = { { value = 'b' }, { value = 'c' } } },
      })
      return
    elseif subject == 'rewrite subject' then
      task:set_metric_subject('[SPAM] ' .. subject)
    elseif subject == 'facts' then
      local facts = { tostring(task:get_from_ip()), task:get_helo(), task:get_from('smtp')[1].addr }
      for _, rcpt in ipairs(task:get_recipients('smtp')) do table.insert(facts, rcpt.addr) end
      task:set_milter_reply({ add_headers = { ['X-Facts'] = table.concat(facts, ' ') } })
      return
    end
    task:set_pre_result(subject, subject .. ' by rspamd', 'test')
  end,
}
"""


@pytest.fixture(scope="module")
def plugin(start_rspamd):
    with start_rspamd(RULES) as server:
        yield RspamdCheck(url=server.url)


class Results(Plugin):
    """Keeps the results of a message."""

    after = ("rspamd_check",)

    def on_message(self, tx):
        self.found = [(one.name, one.value, one.score) for one in tx.results]


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("reject", "554 5.7.1 reject by rspamd"),
        ("soft reject", "451 4.7.1 soft reject by rspamd"),
        ("greylist", "250"),
        ("add header", "250"),
        ("no action", "250"),
    ],
)
def test_the_actions_of_rspamd(plugin, send, subject, reply):
    results = Results()
    results.found = []
    play(send(f"Subject: {subject}\n\ntext", reply), [plugin, results])
    if reply == "250":
        assert results.found == [("rspamd", subject.replace(" ", "-"), 0.0)]


def test_gtube_is_refused(plugin, send):
    body = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    play(send(f"Subject: x\n\n{body}", "554 5.7.1 Gtube pattern"), [plugin])


def test_the_subject_is_rewritten(plugin, send):
    [message] = play(send("Subject: rewrite subject\n\ntext"), [plugin]).messages
    assert message.parse()["Subject"] == "[SPAM] rewrite subject"


def test_fields_are_added_and_removed(plugin, send):
    content = "X-Old: 1\nSubject: fields\nX-Old: 2\n\ntext"
    [message] = play(send(content), [plugin]).messages
    parsed = message.parse()
    assert parsed.get_all("X-Many") == ["c", "b"]
    assert (parsed["X-Text"], parsed["X-Old"]) == ("a", None)


ENVELOPE = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<{sender}> SMTPUTF8
    S: 250
    C: RCPT TO:<one@example.com>
    S: 250
    C: RCPT TO:<"two,"@example.com>
    S: 250
    C: DATA
    S: 354
    C: Subject: {subject}
    C: .
    S: 250
"""


def test_rspamd_gets_the_envelope(plugin):
    dialogue = ENVELOPE.format(sender="a@client.example", subject="facts")
    [message] = play(dialogue, [plugin], peer=("192.0.2.7", 1)).messages
    facts = "192.0.2.7 client.example a@client.example one@example.com two,@example.com"
    assert message.parse()["X-Facts"] == facts


def test_an_address_of_smtputf8_is_no_error(plugin):
    play(ENVELOPE.format(sender="grün@client.example", subject="no action"), [plugin])


def test_without_rspamd_mail_is_deferred(send):
    play(
        send("Subject: x\n\n", "451 4.3.0 Temporary local problem"),
        [RspamdCheck(url="http://127.0.0.1:1/checkv2")],
    )
