"""rspamd: a real one whose actions follow from the subject, and replies of one."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.plugins.scanners import GTUBE, HELLO, Seen, installed, large, mail, sent, service
from tests.plugins.states import make_session, make_transaction
from tools import rspamd as real_rspamd

from gatepost import Message, Plugin, TlsFacts, accept
from gatepost.plugins import rspamd
from gatepost.plugins._rspamd_edits import edit, sign
from gatepost.plugins._rspamd_reply import LARGEST, parse_reply
from gatepost.plugins._scanner import ScannerError
from gatepost.plugins.rspamd import Rspamd, endpoint, facts
from gatepost.testing import play_async

pytest.importorskip("aiohttp")
real = pytest.mark.skipif(bool(real_rspamd.why_not()), reason=real_rspamd.why_not() or "runs")
# The subject is the action. "facts" is answered with the facts that rspamd has.
RULES = """
local function facts(task)
  local hostname, user = task:get_hostname() or 'none', task:get_user() or 'none'
  local list = { tostring(task:get_from_ip()), task:get_helo(), task:get_from('smtp')[1].addr,
    hostname, user, task:get_queue_id() or 'none', tostring(task:get_request_header('Settings-ID')),
    tostring(task:get_request_header('MTA-Name')), tostring(task:get_request_header('Deliver-To')) }
  for _, rcpt in ipairs(task:get_recipients('smtp')) do table.insert(list, rcpt.addr) end
  task:set_milter_reply({ add_headers = { ['X-Facts'] = table.concat(list, ' ') } })
end
rspamd_config.TEST = {
  type = 'prefilter',
  callback = function(task)
    local subject = task:get_header('Subject')
    if subject == 'facts' then facts(task) return end
    if subject == 'large' then
      task:set_milter_reply({ add_headers = { ['X-Size'] = tostring(task:get_size()) } })
      return
    end
    if subject == 'fields' then
      task:set_milter_reply({
        remove_headers = { ['X-All'] = 0, ['X-Second'] = 2, ['X-Last'] = -1 },
        add_headers = {
          ['X-Text'] = 'a', ['X-First'] = { value = 'b', order = 0 },
          ['X-Many'] = { { value = 'c', order = 1 }, { value = 'd', order = 1 } },
        },
      })
      return
    end
    if subject == 'rewrite subject' then task:set_metric_subject('[SPAM] ' .. subject) end
    task:set_pre_result(subject, subject .. ' by rspamd', 'test')
  end,
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of a real rspamd."""
    if reason := real_rspamd.why_not():
        pytest.skip(f"rspamd is missing: {reason}")
    with real_rspamd.running(tmp_path_factory.mktemp("rspamd"), RULES) as running:
        yield running.url.removesuffix("/checkv2")


def send(content, reply="250", *, shadow=False, envelope=None, **options):
    """Send a message; return its result, and what was played."""
    seen = Seen()
    plugins = [installed(Rspamd(**options), shadow=shadow), seen]
    played = asyncio.run(sent(plugins, content, reply, **envelope or {}))
    return seen.results[0], played


def subject(text):
    return f"X-All: 1\nSubject: {text}\nX-All: 2\n\ntext"


@real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "reply"),
    [
        ("reject", "554 5.7.1 reject by rspamd*"),
        ("soft reject", "451 4.7.1 soft reject by rspamd*"),
        ("greylist", "250"),
        ("add header", "250"),
        ("no action", "250"),
    ],
)
def test_the_actions_of_rspamd(server, action, reply):
    found, played = send(subject(action), reply, server=server)
    assert found.value == action.replace(" ", "-")
    assert len(played.messages) == (reply == "250")
    for message in played.messages:
        assert message.parse()["X-Spam"] == ("Yes" if action == "add header" else None)


@real
@pytest.mark.slow
def test_gtube_is_refused(server):
    found, played = send(f"Subject: x\n\n{GTUBE}", "554 5.7.1 Gtube pattern*", server=server)
    assert (found.value, found.facts["points"]) == ("reject", 15)
    assert "GTUBE" in found.facts["symbols"].split()
    assert [one.reason for one in played.decisions] == ["reject"]


@real
@pytest.mark.slow
def test_the_subject_is_rewritten(server):
    _, played = send(subject("rewrite subject"), server=server)
    assert played.messages[0].parse().get_all("Subject") == ["[SPAM] rewrite subject"]


@real
@pytest.mark.slow
def test_fields_are_added_and_removed(server):
    numbered = "".join(f"X-{name}: {n}\n" for name in ("Second", "Last") for n in (1, 2, 3))
    _, played = send(numbered + subject("fields"), server=server)
    parsed = played.messages[0].parse()
    names = ("X-All", "X-Second", "X-Last", "X-Text", "X-First", "X-Many")
    found = {name: parsed.get_all(name) for name in names}
    assert found == {
        "X-All": None,
        "X-Second": ["1", "3"],
        "X-Last": ["1", "2"],
        "X-Text": ["a"],
        "X-First": ["b"],
        "X-Many": ["c", "d"],
    }
    assert parsed.keys()[-2:] == ["X-Text", "X-Spamd-Result"] or parsed.keys()[-1] == "X-Text"


@real
@pytest.mark.slow
def test_rspamd_gets_the_facts_of_the_envelope(server):
    class Named(Plugin):
        def on_connect(self, session):
            session.results.add("iprev", "pass", name="mail.client.example")

    async def scenario():
        content = mail("Subject: facts", rcpts=("one@example.com", '"two,"@example.com'))
        return await play_async(
            HELLO + content, [Named(), Rspamd(server=server)], peer=("192.0.2.7", 1)
        )

    [message] = asyncio.run(scenario()).messages
    ref = message.parse()["Received"].split(" id ")[1].split()[0].rstrip(";")
    assert message.parse()["X-Facts"].split() == [
        "192.0.2.7",
        "client.example",
        "a@client.example",
        "mail.client.example",
        "none",
        ref,
        "nil",
        "localhost",
        "nil",
        "one@example.com",
        "two,@example.com",
    ]


@real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("rcpts", "settings", "deliver_to"),
    [
        (["a@example.com"], "own", "a@example.com"),
        (["a@example.com", "b@example.com"], "own", "nil"),
        (["a@example.com", "a@other.example"], "all", "nil"),
    ],
)
def test_settings_by_the_domain_of_the_recipients(server, rcpts, settings, deliver_to):
    plugin = Rspamd(
        server=server, settings_id="all", options_for={"example.com": {"settings_id": "own"}}
    )
    config = {"recipients": {"domains": ["example.com", "other.example"]}}

    async def scenario():
        return await sent([plugin], "Subject: facts", rcpts=rcpts, config=config)

    [message] = asyncio.run(scenario()).messages
    found = message.parse()["X-Facts"].split()
    assert (found[6], found[8]) == (settings, deliver_to)


@real
@pytest.mark.slow
def test_the_user_of_an_authenticated_client(server):
    class Login(Plugin):
        def on_auth(self, session, attempt):
            return accept()

    hello = HELLO + "    C: AUTH PLAIN AEFsaWNlAHNlY3JldA==\n    S: 235\n"
    config = {"auth": {"clear": True}, "listen": [{"auth": True}]}

    async def scenario():
        plugins = [Login(), Rspamd(server=server)]
        return await play_async(hello + mail("Subject: facts"), plugins, config=config)

    [message] = asyncio.run(scenario()).messages
    assert message.parse()["X-Facts"].split()[4] == "alice"


@real
@pytest.mark.slow
def test_a_bounce_has_an_empty_sender(server):
    _, played = send("Subject: facts", envelope={"sender": ""}, server=server)
    assert " client.example none none " in played.messages[0].parse()["X-Facts"]


@real
@pytest.mark.slow
def test_an_address_of_smtputf8_is_no_error(server):
    transcript = mail("Subject: no action", sender="grün@client.example")
    transcript = transcript.replace(".example>", ".example> SMTPUTF8", 1)

    async def scenario():
        return await play_async(HELLO + transcript, [Rspamd(server=server)])

    assert len(asyncio.run(scenario()).messages) == 1


@real
@pytest.mark.slow
def test_a_large_message_arrives_whole(server):
    content = large(3_000_000)
    _, played = send(content, server=server)
    octets = len(content.replace("\n", "\r\n"))
    assert played.messages[0].parse()["X-Size"] == str(octets)


@real
@pytest.mark.slow
def test_an_rspamd_that_is_killed_defers_mail(tmp_path):
    with real_rspamd.running(tmp_path, RULES) as running:
        url = running.url.removesuffix("/checkv2")
        send(subject("no action"), server=url)
    found, _ = send(subject("x"), "451 4.3.0 Temporary local problem*", server=url)
    assert found.value == "temperror"


@pytest.mark.parametrize(
    ("reported", "name"),
    [("mail.client.example", "mail.client.example"), ("unknown", None), ("[192.0.2.1]", None)],
)
def test_the_facts_of_a_mail_server_whose_milter_this_is(reported, name):
    session = replace(make_session(), reported={"client_name": reported})
    found = dict(facts(replace(make_transaction(session=session), queue_id="4XYZ")))
    assert (found["Queue-Id"], found.get("Hostname")) == ("4XYZ", name)


def test_the_facts_of_tls_and_of_a_client_without_an_address():
    tls = TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    session = replace(make_session("local"), tls=tls)
    found = dict(facts(make_transaction(session=session)))
    assert found["TLS-Version"] == "TLSv1.3"
    assert found["TLS-Cipher"] == "TLS_AES_256_GCM_SHA384"
    assert "IP" not in found


# Replies of the test


def http(body, status="200 OK"):
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(octets)}\r\n\r\n".encode() + octets


def answering(octets, content="Subject: x\n\ntext", reply="250", *, tmp_path, **options):
    """Send a message while a service answers with these octets; return the result and the rest."""
    requests = []

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split()[0])
        requests.append(head + await reader.readexactly(length))
        writer.write(octets)

    async def scenario():
        seen, shadow = Seen(), options.pop("shadow", False)
        config = options.pop("config", {})
        plugin = installed(Rspamd(server=f"unix:{tmp_path}/rspamd", **options), shadow=shadow)
        async with service(tmp_path / "rspamd", handle):
            played = await sent([plugin, seen], content, reply, **config)
        return seen.results[0], requests, played

    return asyncio.run(scenario())


def test_the_request(tmp_path):
    _, (request,), _ = answering(http({"action": "no action"}), tmp_path=tmp_path)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /checkv2 HTTP/1.1\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"Subject: x\r\n\r\ntext\r\n"


ACTION = {"score": 4.5, "required_score": 15}


@pytest.mark.parametrize(
    ("reply", "options", "answer", "score"),
    [
        ({"action": "reject"}, {}, "554 5.7.1 Message looks like spam*", 0),
        ({"action": "reject"}, {"reject": 6}, "250", 6),
        ({"action": "reject"}, {"weight": 2}, "554", 9),
        ({"action": "reject"}, {"shadow": True}, "250", 0),
        ({"action": "soft reject"}, {"soft_reject": "none"}, "250", 0),
        ({"action": "greylist"}, {"greylist": "defer"}, "451 4.7.1 Greylisted*", 0),
        ({"action": "no action"}, {"weight": 0.5}, "250", 2.25),
        ({"action": "discard"}, {"reject": "defer"}, "451", 0),
        ({"action": "reject", "milter": {"no_action": True}}, {}, "250", 0),
        ({"action": "Own Action 1"}, {}, "250", 0),
    ],
)
def test_the_reactions_are_options(tmp_path, reply, options, answer, score):
    octets = http({**ACTION, **reply})
    found, _, _ = answering(octets, reply=answer, tmp_path=tmp_path, **options)
    assert found.score == score
    assert (found.facts["points"], found.facts["required"]) == (4.5, 15)


@pytest.mark.parametrize(("instead", "held"), [("quarantine", "rspamd"), ("discard", "")])
def test_rspamd_can_ask_for_something_else_than_a_refusal(tmp_path, instead, held):
    routes = [
        {"name": "away", "for": [], "to": "discard:"},
        {"for": ["*"], "to": "discard:"},
    ]
    _, _, played = answering(
        http({"action": "reject", "milter": {"reject": instead}}),
        tmp_path=tmp_path,
        discard_route="away",
        config={"config": {"route": routes, "recipients": {"domains": ["example.com"]}}},
    )
    [message] = played.messages
    assert message.quarantined == held
    assert list(message.routes.values()) == (["away"] if instead == "discard" else [])


def test_a_message_can_be_held(tmp_path):
    _, _, played = answering(http({"action": "quarantine"}), tmp_path=tmp_path)
    assert [one.quarantined for one in played.messages] == ["rspamd"]


@pytest.mark.parametrize(
    ("milter", "marks"),
    [
        ({}, {"X-Spam": "Yes"}),
        ({"spam_header": "probably"}, {"X-Spam": "probably"}),
        ({"spam_header": {"X-Flag": "1"}}, {"X-Flag": "1", "X-Spam": "forged"}),
        ({"no_action": True}, {"X-Spam": None}),
    ],
)
def test_spam_is_marked(tmp_path, milter, marks):
    content = "X-Spam: forged\nSubject: x\n\ntext"
    reply = http({"action": "add header", "milter": milter})
    _, _, played = answering(reply, content, tmp_path=tmp_path)
    assert {name: played.messages[0].parse()[name] for name in marks} == marks


def test_without_a_spam_header_nothing_is_marked(tmp_path):
    content = "X-Spam: forged\nSubject: x\n\ntext"
    reply = http({"action": "add header"})
    _, _, played = answering(reply, content, tmp_path=tmp_path, spam_header="")
    assert played.messages[0].parse()["X-Spam"] == "forged"


def test_a_signature_of_rspamd_is_added(tmp_path):
    reply = {"action": "no action", "dkim-signature": ["v=1;\r\n\ta=b", "v=2"]}
    _, _, played = answering(http(reply), tmp_path=tmp_path)
    assert played.messages[0].parse().get_all("DKIM-Signature") == ["v=2", "v=1; a=b"]


def test_a_field_that_is_malformed_is_left_out(tmp_path):
    fields = {"Bad Name": "1", "X-Good": "2", "X-Long": "x" * 2000, "X-Empty": ""}
    reply = http({"action": "no action", "milter": {"add_headers": fields}})
    _, _, played = answering(reply, tmp_path=tmp_path)
    parsed = played.messages[0].parse()
    assert [name for name in parsed if name.startswith("X-")] == ["X-Good"]


def test_a_header_block_that_is_too_long_for_edits_is_delivered_all_the_same(tmp_path):
    content = "Subject: x\n" + "X-A: b\n" * 200_000
    reply = http({"action": "add header"})
    _, _, played = answering(reply, content, tmp_path=tmp_path)
    assert len(played.messages) == 1


@pytest.mark.parametrize(
    "octets",
    [
        http(b"{}", "500 Oops"),
        http(b"[]"),
        http(b"\xff"),
        http(b'{"action": 5}'),
        http(b" " * (LARGEST + 1)),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
        b"nonsense",
        b"",
    ],
)
def test_another_reply_is_a_failure(tmp_path, octets):
    found, _, played = answering(octets, reply="451 4.3.0 Temporary*", tmp_path=tmp_path)
    assert (found.value, played.messages) == ("temperror", [])


def test_octets_that_are_not_utf8_do_not_matter(tmp_path):
    octets = b'{"action": "no action", "symbols": {"A\xff": {"options": ["\xfe"]}}}'
    found, _, _ = answering(http(octets), tmp_path=tmp_path)
    assert found.facts["symbols"] == "A\ufffd"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SCALARS = st.text() | st.integers() | st.booleans()
PLACED = st.fixed_dictionaries({"value": SCALARS, "order": st.integers(-1, 3)})
ADDED = st.dictionaries(
    st.text(max_size=12) | st.just("X-A"), SCALARS | PLACED | st.lists(SCALARS | PLACED), max_size=3
)
REMOVED = st.dictionaries(
    st.sampled_from(["X-A", "Subject", "a b", ""]), st.integers(-3, 3) | st.lists(st.integers())
)
REPLIES = st.fixed_dictionaries(
    {"action": st.sampled_from(["add header", "rewrite subject", "no action"]) | st.text()},
    optional={
        "score": st.floats(allow_nan=False, allow_infinity=False),
        "subject": SCALARS,
        "milter": st.fixed_dictionaries(
            {},
            optional={
                "add_headers": ADDED,
                "remove_headers": REMOVED,
                "spam_header": SCALARS | st.dictionaries(st.text(max_size=5), SCALARS),
                "no_action": st.booleans(),
            },
        ),
        "dkim-signature": st.text() | st.lists(st.text()),
    },
)


def message():
    """Return a message that can be edited."""
    found = Message(10_000)
    found.write(b"X-A: 1\r\nSubject: x\r\nX-A: 2\r\n\r\ntext\r\n")
    found.complete()
    return found


@given(REPLIES)
def test_a_message_stays_well_formed_whatever_rspamd_asks_for(reply):
    found = parse_reply(json.dumps(reply).encode())
    with message() as edited:
        edit(edited, found, "X-Spam")
        sign(edited, found)
        head, _, body = (b"X-0: \r\n" + bytes(edited)).partition(b"\r\n\r\n")
        assert body == b"text\r\n"
        assert b"\n" not in head.replace(b"\r\n", b"")
        assert rspamd._word(found.action).strip()


@given(JSON.map(lambda one: json.dumps(one).encode()) | st.binary())
def test_any_reply_is_read_or_refused(octets):
    try:
        found = parse_reply(octets)
    except ValueError:
        return
    assert isinstance(found.action, str)


def test_a_reply_that_is_nested_deeply_is_refused():
    with pytest.raises(ValueError, match="nested"):
        parse_reply(b'{"action": "x", "symbols": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}")


@pytest.mark.parametrize("server", ["", "rspamd", "ftp://a", "http://", "unix:x", "http://a/b"])
def test_a_wrong_server_is_an_error_at_start(server):
    with pytest.raises(ValueError, match="expected"):
        Rspamd(server=server)


def test_the_endpoint_of_a_server():
    assert endpoint("https://scan.example:1/") == ("https://scan.example:1/checkv2", "")
    assert endpoint("unix:/run/x") == ("http://localhost/checkv2", "/run/x")


def test_without_aiohttp_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(rspamd, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'gatepost\[http\]'"):
        Rspamd()


def learn(path, kind, reply, **options):
    """Let a plugin learn a message from a controller with this reply; return the request."""
    asked = []

    async def respond(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode())
        writer.write(reply)
        await writer.drain()

    async def scenario():
        message = Message(10_000)
        message.write(b"Subject: x\r\n\r\nbuy now\r\n")
        message.complete()
        tx = replace(make_transaction(), message=message)
        plugin = Rspamd(controller=f"unix:{path}", **options)
        await plugin.start()
        try:
            async with service(path, respond):
                await plugin.on_learn(tx, kind)
        finally:
            await plugin.stop()

    asyncio.run(scenario())
    return asked[0]


@pytest.mark.parametrize("kind", ["spam", "ham"])
@pytest.mark.parametrize("status", ["200 OK", "208 Already Reported"])
def test_the_controller_learns_a_message(tmp_path, kind, status):
    reply = f'HTTP/1.1 {status}\r\nContent-Length: 16\r\n\r\n{{"success":true}}'.encode()
    request = learn(tmp_path / "rspamd", kind, reply, password="secret")
    assert request.startswith(f"POST /learn{kind} HTTP/1.1\r\n")
    assert "\r\nPassword: secret\r\n" in request
    assert "\r\nContent-Length: 23\r\n" in request


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (
            b'HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\n{"error":"no\\u001b"}',
            "HTTP status 403 no$",
        ),
        (b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\n[", "HTTP status 500$"),
        (b"nonsense", "."),
        (b"", "."),
    ],
)
def test_a_controller_that_does_not_learn_is_an_error(tmp_path, reply, problem):
    with pytest.raises((ValueError, ScannerError), match=problem):
        learn(tmp_path / "rspamd", "spam", reply)


def test_a_controller_that_is_away_is_an_error(tmp_path):
    async def scenario():
        plugin = Rspamd(controller=f"unix:{tmp_path}/absent")
        await plugin.start()
        try:
            await plugin.on_learn(replace(make_transaction(), message=Message(1)), "spam")
        finally:
            await plugin.stop()

    with pytest.raises(ScannerError):
        asyncio.run(scenario())


def test_the_reaction_hold_holds_and_edits(tmp_path):
    body = b'{"action":"reject","milter":{"add_headers":{"X-One":"1"}}}'

    async def respond(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async def scenario():
        async with service(tmp_path / "rspamd", respond):
            plugin = Rspamd(server=f"unix:{tmp_path}/rspamd", reject="hold")
            return await sent([plugin], "Subject: x\n\ntext")

    [message] = asyncio.run(scenario()).messages
    assert (message.quarantined, message.parse()["X-One"]) == ("reject", "1")
