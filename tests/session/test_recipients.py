"""Changes of recipients and delivery by plugins, in SMTP and LMTP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.session.dialogue import TRAPS, config, plugin

from gatepost.config.schema import RouteConfig
from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError, Target
from gatepost.model.decision import accept, defer, deny
from gatepost.model.reply import Reply
from gatepost.session import assemble
from gatepost.testing import play

HELLO = {"smtp": "EHLO", "lmtp": "LHLO"}
CONTENT = """
    C: DATA
    S: 354
    C: Subject: hello
    C:
    C: text
    C: .
"""
# A client that is out of step takes these for the replies to the message.
AFTERWARDS = """
    C: NOOP
    S: 250 2.0.0 Ok
    C: VRFY x
    S: 252
    C: QUIT
    S: 221
"""


def transcript(protocol, recipients, end, content=CONTENT):
    start = f"S: 220\nC: {HELLO[protocol]} x\nS: 250\nC: MAIL FROM:<a@client.example>\nS: 250\n"
    rcpts = "".join(f"C: RCPT TO:<{one}>\nS: 250\n" for one in recipients)
    replies = "".join(f"S: {line}\n" for line in end)
    return start + rcpts + content + replies + AFTERWARDS


def talk(protocol, recipients, end, *plugins, **options):
    with capture_logs() as lines:
        played = play(transcript(protocol, recipients, end), plugins, protocol=protocol, **options)
    return played, lines


def recipients_of(played):
    [message] = played.messages
    return message.recipients


def changes(lines):
    return [line["changes"] for line in lines if line["event"] == "accepted"]


ONE, TWO = "one@example.com", "two@example.com"


def alias(*addresses, of=ONE):
    def on_rcpt(tx, rcpt):
        if str(rcpt.address) == of:
            tx.replace_recipient(rcpt, addresses)

    return on_rcpt


@pytest.mark.parametrize("protocol", HELLO)
def test_an_alias_and_a_journal_leave_the_replies_in_step(protocol):
    def on_data(tx):
        added = tx.add_recipient("journal@example.com")
        assert (added.added, added.params) == (True, {"NOTIFY": "NEVER"})

    played, lines = talk(
        protocol,
        [ONE],
        ["250"],
        plugin(on_rcpt=alias("a@example.com", "b@example.com"), on_data=on_data, name="aliases"),
    )
    assert recipients_of(played) == ["a@example.com", "b@example.com", "journal@example.com"]
    assert changes(lines) == [
        [
            "replaced one@example.com by a@example.com, b@example.com (aliases)",
            "added journal@example.com (aliases)",
        ]
    ]


def test_a_replacement_is_recorded_with_the_plugin_that_made_it():
    """It takes effect after the other plugins have run."""
    plugins = (
        plugin(on_rcpt=alias("a@example.com"), name="aliases"),
        plugin(on_rcpt=lambda _tx, _rcpt: None, name="last"),
    )
    _, lines = talk("smtp", [ONE], ["250"], *plugins)
    assert changes(lines) == [[f"replaced {ONE} by a@example.com (aliases)"]]


@pytest.mark.parametrize("protocol", HELLO)
def test_duplicates_are_one_recipient(protocol):
    def on_message(tx):
        first = tx.recipients[0]
        assert tx.add_recipient("ONE@EXAMPLE.com.") is first
        for one in tx.recipients:  # the list of the loop does not change
            tx.replace_recipient(one, ["same@example.com", "Same@example.com"])

    end = ["250", "250"] if protocol == "lmtp" else ["250"]
    played, _ = talk(protocol, [ONE, TWO], end, plugin(on_message=on_message))
    assert recipients_of(played) == ["same@example.com"]


def test_a_named_address_that_a_plugin_has_added_is_one_recipient():
    played, _ = talk(
        "lmtp",
        [ONE, TWO],
        ["250", "250"],
        plugin(on_rcpt=lambda tx, rcpt: tx.add_recipient(TWO) and None),
    )
    assert recipients_of(played) == [TWO, ONE]


def test_an_alias_can_keep_the_recipient():
    def on_message(tx):
        assert len(tx.replace_recipient(tx.recipients[0], [ONE, "copy@example.com"])) == 2

    played, _ = talk("lmtp", [ONE], ["250"], plugin(on_message=on_message))
    assert recipients_of(played) == [ONE, "copy@example.com"]


def test_the_alias_of_a_refused_recipient_has_no_effect():
    hooks = {"on_rcpt": alias("a@example.com"), "after_rcpt": lambda tx, *_: None}
    refuse = plugin(on_rcpt=lambda _tx, rcpt: deny("no") if rcpt.user == "one" else None)
    text = transcript("smtp", [ONE], [], content="").replace("S: 250\nC: RCPT", "S: 250\nC: RCPT")
    text = text.replace(f"C: RCPT TO:<{ONE}>\nS: 250", f"C: RCPT TO:<{ONE}>\nS: 550")
    text = text.replace("C: NOOP", f"C: RCPT TO:<{TWO}>\nS: 250\n{CONTENT}\nS: 250\nC: NOOP", 1)
    played = play(text, [plugin(**hooks), refuse])
    assert recipients_of(played) == [TWO]


def test_aliases_of_aliases_are_followed():
    def on_data(tx):
        [one] = tx.recipients
        tx.replace_recipient(one, ["c@example.com"])

    played, _ = talk(
        "lmtp", [ONE], ["250"], plugin(on_rcpt=alias("b@example.com")), plugin(on_data=on_data)
    )
    assert recipients_of(played) == ["c@example.com"]


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (lambda tx: tx.add_recipient("nonsense"), "expected local-part@domain"),
        (lambda tx: tx.add_recipient("a@unrouted.example"), "no route for a@unrouted.example"),
        (lambda tx: tx.add_recipient("ö@example.com"), "has not requested SMTPUTF8"),
        (lambda tx: tx.add_recipient(ONE, route="jnuk"), "found 'jnuk': 'junk'"),
        (lambda tx: tx.replace_recipient(tx.recipients[0], []), "at least one address"),
        (lambda tx: tx.replace_recipient(tx.recipients[0], ONE), "expected a list of addresses"),
        (lambda tx: tx.replace_recipient(tx.notes["gone"], [TWO]), "is no recipient of this"),
        (lambda tx: tx.choose_route("jnuk"), "found 'jnuk': 'junk'"),
        (lambda tx: tx.choose_route("junk", [tx.notes["gone"]]), "is no recipient of this"),
        (lambda tx: tx.quarantine(""), "takes a reason"),
        (lambda tx: tx.quarantine("two\nlines"), "takes a reason"),
        (lambda tx: setattr(tx, "message", None), "the methods of tx.message"),
        (lambda tx: tx.recipients.append(1), "tx.add_recipient"),
        (
            lambda tx: [tx.add_recipient(f"n{number}@example.com") for number in range(30)],
            "at most 20 recipients",
        ),
    ],
)
def test_a_wrong_change_is_an_error_of_the_plugin(act, problem):
    def on_message(tx):
        [tx.notes["gone"]] = tx.replace_recipient(tx.recipients[0], ["gone@example.com"])
        tx.replace_recipient(tx.recipients[0], ["new@example.com"])
        act(tx)

    routes = [
        RouteConfig(for_=["example.com"], to="discard:"),
        RouteConfig(for_=[], to="discard:", name="junk"),
    ]
    settings = config(route=routes, limits={"recipients": 2})
    played, lines = talk(
        "lmtp", [ONE], ["451 4.3.0 *"], plugin(on_message=on_message), config=settings
    )
    assert played.messages == []
    [failure] = [line["exception"] for line in lines if line["event"] == "plugin failed"]
    assert problem in failure


def test_recipients_cannot_be_changed_once_the_delivery_begins():
    errors = []

    def late(tx):
        try:
            tx.add_recipient("late@example.com")
        except RuntimeError as error:
            errors.append(str(error))

    played, _ = talk("smtp", [ONE], ["250"], plugin(on_delivered=late, on_reset=late))
    assert len(errors) == 1
    assert recipients_of(played) == [ONE]


def test_the_limit_of_rcpt_counts_what_the_client_has_named():
    settings = config(limits={"recipients": 2})
    grow = plugin(
        on_rcpt=lambda tx, rcpt: tx.add_recipient(f"copy-{rcpt.user}@example.com") and None
    )
    played, _ = talk("lmtp", [ONE, TWO], ["250", "250"], grow, config=settings)
    assert len(recipients_of(played)) == 4


@pytest.mark.parametrize("protocol", HELLO)
def test_a_trap_stands_whatever_becomes_of_its_recipient(protocol):
    hide = plugin(on_rcpt=alias("a@example.com", of="trap@example.com"))
    text = transcript(protocol, ["trap@example.com"], [], content="C: DATA\nS: 554\n")
    assert play(text, [hide], traps=TRAPS, protocol=protocol).messages == []


def test_an_added_trap_does_not_count():
    add = plugin(on_data=lambda tx: tx.add_recipient("trap@example.com") and None)
    played, lines = talk("smtp", [ONE], ["250"], add, traps=TRAPS)
    assert recipients_of(played) == [ONE, "trap@example.com"]
    [line] = lines
    assert "traps" not in line


# Refusals of some recipients


def refusing(user, decision=deny):
    def on_message(tx):
        chosen = [one for one in tx.recipients if one.user == user]
        return decision(f"no {user}", reason="some", recipients=chosen) if chosen else None

    return on_message


def test_lmtp_refuses_some_recipients():
    played, lines = talk(
        "lmtp",
        [ONE, TWO],
        ["554 5.7.1 no one [*]", "250 2.0.0 Ok, *"],
        plugin(on_message=refusing("one"), name="sizes"),
    )
    assert recipients_of(played) == [TWO]
    [line] = lines
    assert (line["event"], line["recipients"]) == ("accepted", [TWO])
    assert line["refused_for"] == ["some"]
    assert line["refused"][0].startswith("one@example.com: 554 5.7.1 no one [")


def test_later_plugins_decide_about_the_others():
    asked = []
    played, _ = talk(
        "lmtp",
        [ONE, TWO, "three@example.com"],
        ["554 5.7.1 no one [*]", "451 4.7.1 no two [*]", "250"],
        plugin(on_message=refusing("one")),
        plugin(on_message=refusing("two", defer)),
        plugin(on_message=lambda tx: asked.append(len(tx.recipients))),
    )
    assert (asked, recipients_of(played)) == ([1], ["three@example.com"])


def test_lmtp_refuses_all_recipients_each_with_its_reply():
    played, lines = talk(
        "lmtp",
        [ONE, TWO],
        ["554 5.7.1 no one [*]", "451 4.7.1 no two [*]"],
        plugin(on_message=refusing("one")),
        plugin(on_message=refusing("two", defer)),
    )
    assert played.messages == []
    [line] = lines
    assert [one.partition(" [")[0] for one in line["refused"]] == [
        "one@example.com: 554 5.7.1 no one",
        "two@example.com: 451 4.7.1 no two",
    ]


def test_a_later_refusal_of_the_message_is_for_the_others():
    talk(
        "lmtp",
        [ONE, TWO],
        ["554 5.7.1 no one [*]", "554 5.7.1 virus [*]"],
        plugin(on_message=refusing("one")),
        plugin(on_message=lambda _tx: deny("virus")),
    )


def test_a_refusal_that_disconnects_is_for_all():
    text = transcript("lmtp", [ONE, TWO], ["554 5.7.1 bye [*]"]).partition("C: NOOP")[0]
    end = plugin(on_message=lambda _tx: deny("bye", disconnect=True))
    played = play(text, [plugin(on_message=refusing("one")), end], protocol="lmtp")
    assert played.replies[-1].startswith("554")


def test_smtp_refuses_the_message_if_one_recipient_is_refused():
    played, lines = talk(
        "smtp", [ONE, TWO], ["554 5.7.1 no one [*]"], plugin(on_message=refusing("one"))
    )
    assert played.messages == []
    assert [line["recipients"] for line in lines if line["event"] == "refused"] == [[ONE, TWO]]


def test_a_refusal_at_the_headers_is_sent_at_the_end():
    def on_headers(tx, _headers):
        return deny("no one", recipients=tx.recipients[:1])

    played, _ = talk("lmtp", [ONE, TWO], ["554", "250"], plugin(on_headers=on_headers))
    assert recipients_of(played) == [TWO]


def test_a_refusal_is_for_the_addresses_that_stand_for_a_recipient():
    named = []

    def on_rcpt(tx, rcpt):
        named.append(rcpt)
        if rcpt.user == "one":
            tx.replace_recipient(rcpt, ["a@example.com", "b@example.com"])

    played, _ = talk(
        "lmtp",
        [ONE, TWO],
        ["554", "250"],
        plugin(on_rcpt=on_rcpt, on_message=lambda _tx: deny(recipients=named[:1])),
    )
    assert recipients_of(played) == [TWO]


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ("on_data", "in on_headers and on_message only"),
        ("on_deliver", "in on_headers and on_message only"),
    ],
)
def test_a_refusal_of_some_is_for_the_end_of_the_message(hook, problem):
    decide = plugin(**{hook: lambda tx: deny(recipients=tx.recipients[:1])})
    with capture_logs() as lines:
        start = transcript("lmtp", [ONE], ["451"])
        text = start if hook == "on_deliver" else start.replace("S: 354", "S: 451", 1)
        if hook == "on_data":
            text = transcript("lmtp", [ONE], [], content="C: DATA\nS: 451\n")
        play(text, [decide], protocol="lmtp")
    assert problem in str(lines)


def test_a_refusal_of_a_stranger_is_an_error():
    kept = []

    def on_message(tx):
        kept.extend(tx.recipients)
        tx.replace_recipient(tx.recipients[0], [TWO])
        [new] = tx.recipients
        tx.replace_recipient(new, ["three@example.com"])
        return deny(recipients=[new])

    _, lines = talk("lmtp", [ONE], ["451 4.3.0 *"], plugin(on_message=on_message))
    assert "is no recipient of this transaction" in str(lines)


# Targets


class Failing(Target):
    def __init__(self, failing):
        self.failing, self.taken = failing, []

    def deliver(self, delivery):
        self.taken += [one.user for one in delivery.recipients if one.user not in self.failing]
        return self._fail(delivery)

    async def _fail(self, delivery):
        return {
            one: DeliveryError("no", reply=Reply(450, f"no {one.user}", "4.2.0"))
            for one in delivery.recipients
            if one.user in self.failing
        }


@pytest.fixture
def failing(monkeypatch):
    """Return a target that fails for some users, in place of all routes."""
    target = Failing({"b", "journal"})
    router = Router([(["*"], Route(target, "test:"))], hostname="mx.example.com")
    monkeypatch.setattr(assemble, "make_router", lambda *_args, **_more: router)
    monkeypatch.setattr("gatepost.server.memory.Capture.on_deliver", lambda _self, _tx: None)
    return target


def test_the_first_failure_of_an_alias_is_the_reply(failing):
    talk(
        "lmtp",
        [ONE, TWO],
        ["450 4.2.0 no b [*]", "250"],
        plugin(on_rcpt=alias("a@example.com", "b@example.com")),
    )
    assert failing.taken == ["a", "two"]


def test_a_failed_copy_without_a_queue_is_the_reply_to_all(failing):
    add = plugin(on_data=lambda tx: tx.add_recipient("journal@example.com") and None)
    talk("lmtp", [ONE, TWO], ["450 4.2.0 no journal [*]"] * 2, add)


# The number of replies

ACTIONS = ("add", "replace", "refuse", "self", "accept", "fail", "merge", "drop", "quarantine")
step = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9), st.integers(0, 3))


def acting(steps):
    """Return a method that does random things."""

    def act(tx, *_args):
        for name, number, count in steps:
            chosen = tx.recipients[number % len(tx.recipients)] if tx.recipients else None
            addresses = [f"x{number + at}@example.com" for at in range(count)]
            if name == "add":
                tx.add_recipient(f"x{number}@example.com")
            elif name == "replace" and chosen and addresses:
                tx.replace_recipient(chosen, addresses)
            elif name == "merge" and chosen:
                tx.replace_recipient(chosen, [str(one.address) for one in tx.recipients])
            elif name == "refuse" and chosen:
                return deny(f"no {number}", recipients=[chosen])
            elif name == "drop" and chosen:
                tx.choose_route("junk", [chosen])
            elif name == "quarantine":
                tx.quarantine("odd")
            elif name == "accept":
                return accept()
            elif name == "fail":
                raise ValueError(name)
        return None

    return act


hooks = st.sampled_from(
    ("on_mail", "observe_rcpt", "on_rcpt", "after_rcpt", "on_data", "on_message")
)
plans = st.lists(st.tuples(hooks, st.lists(step, max_size=3)), max_size=5)


@given(plans=plans, count=st.integers(1, 4), answers=st.lists(st.booleans(), min_size=4))
def test_lmtp_replies_once_for_each_accepted_rcpt(plans, count, answers):
    """The client is in step: the reply to NOOP is that to NOOP."""
    plugins = []
    for number, (hook, steps) in enumerate(plans):
        method = acting([one for one in steps if hook == "on_message" or one[0] != "refuse"])
        plugins.append(plugin("skip", f"p{number}", **{hook: method}))
    plugins.append(
        plugin(on_rcpt=lambda _tx, rcpt: None if answers[int(rcpt.user)] else deny("no"))
    )
    names = [f"{number}@example.com" for number in range(count)]
    start = "S: 220\nC: LHLO x\nS: 250\nC: MAIL FROM:<>\nS: 250\n"
    rcpts = "".join(f"C: RCPT TO:<{one}>\nS: *\n" for one in names)
    settings = config(
        route=[
            RouteConfig(to="discard:"),
            RouteConfig(for_=[], to="discard:", name="junk"),
        ]
    )
    with capture_logs():
        first = play(start + rcpts, plugins, protocol="lmtp", config=settings)
        accepted = sum(one.startswith("250") for one in first.replies[3:])
        if accepted == 0:
            return
        # Only the codes are compared: the texts depend on the plan.
        end = "S: *\n" * accepted + "C: NOOP\nS: 250 2.0.0 Ok\nC: QUIT\nS: 221 *\n"
        play(start + rcpts + CONTENT + end, plugins, protocol="lmtp", config=settings)
