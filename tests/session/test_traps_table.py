"""The table of trap classes and standings decides what a hit causes."""

import itertools

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.config.traps import CLASSES, STANDINGS, TREATMENTS
from gatepost.model.decision import accept, defer, deny
from gatepost.testing import play
from gatepost.traps.verdicts import TABLE, Standing, TrapClass, Treatment

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
ONE = "C: RCPT TO:<one@example.com>\nS: 250\n"
CONTENT = "C: DATA\nS: 354\nC: Subject: x\nC:\nC: text\nC: .\n"
UNKNOWN = "550 5.1.1 No such mailbox [*]"
MARK = b"X-Gatepost-Trap: marked\r\n"

# What a client sees of each treatment: the reply to RCPT, to DATA, to the end of the content.
SEEN = {
    Treatment.REFUSE_ALL: ("250", f"C: DATA\nS: {REFUSED}\n"),
    Treatment.REFUSE_ALL_AFTER_CONTENT: ("250", f"{CONTENT}S: {REFUSED}\n"),
    Treatment.MARKED_AFTER_CONTENT: ("250", f"{CONTENT}S: 250\n"),
    Treatment.RECIPIENT_ONLY_REST_MARKED: (UNKNOWN, f"{CONTENT}S: 250\n"),
    Treatment.RECIPIENT_ONLY: (UNKNOWN, f"{CONTENT}S: 250\n"),
    Treatment.NONE: ("250", f"{CONTENT}S: 250\n"),
}
MARKED = {Treatment.MARKED_AFTER_CONTENT, Treatment.RECIPIENT_ONLY_REST_MARKED}
REFUSING = {Treatment.REFUSE_ALL, Treatment.REFUSE_ALL_AFTER_CONTENT}


def of_standing(word, **methods):
    """Return a plugin that finds the standing of each sender, as a memory of good mail would."""
    return plugin(
        name="memory", on_mail=lambda tx, _: tx.results.add("standing", word) and None, **methods
    )


def trap(words, name="hidden-page"):
    return [f"{name}@example.com {words}"]


def seen(treatment, plugins, traps, *, local="hidden-page", **options):
    """Play a message to a user and a trap, and check every reply; return what was accepted."""
    to_rcpt, rest = SEEN[treatment]
    named = f"C: RCPT TO:<{local}@example.com>\nS: {to_rcpt}\n"
    played = play(OPEN + MAIL + ONE + named + rest, plugins, traps=traps, **options)
    assert bool(played.messages) is (treatment not in REFUSING)
    for message in played.messages:
        assert (MARK in message.content) is (treatment in MARKED)
        assert (f"{local}@example.com" in message.recipients) is (to_rcpt == "250")
    return played


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("trap_class", [one for one in CLASSES if one != "virtual"])
def test_each_cell_of_the_table_is_what_the_client_sees(trap_class, standing):
    expected = TABLE[TrapClass(trap_class), Standing(standing)]
    # A learned trap has an effect only if it is known not to exist.
    users = {"domains": ["example.com"], "known": ["one@example.com"]}
    made = config(recipients=users) if trap_class == "learned" else config()
    seen(expected, [of_standing(standing)], trap(f"class={trap_class}"), config=made)


@pytest.mark.parametrize("word", TREATMENTS)
def test_the_configuration_changes_a_cell(word):
    table = {"recycled": {"stranger": word}}
    made = config(traps={"table": table})
    seen(Treatment(word), [], trap("class=recycled"), config=made)
    seen(Treatment.REFUSE_ALL, [], trap("class=pristine"), config=made)


def test_the_words_of_the_configuration_are_those_of_the_rules():
    assert tuple(one.value for one in TrapClass) == CLASSES
    assert tuple(one.value for one in Standing) == STANDINGS
    assert tuple(one.value for one in Treatment) == TREATMENTS


def test_a_trap_without_a_class_refuses_the_message():
    seen(Treatment.REFUSE_ALL, [], trap("left in 2019"), config=config())


@pytest.mark.parametrize("local", ["info", "Customer-Service", "bob", "info+tag"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", Treatment.REFUSE_ALL),
        ("spoil=yes", Treatment.REFUSE_ALL),
        ("class=seeded", Treatment.RECIPIENT_ONLY),
        ("class=pristine a note", Treatment.RECIPIENT_ONLY),
        ("class=seeded spoil=yes", Treatment.REFUSE_ALL),
        ("spoil=yes class=seeded note", Treatment.REFUSE_ALL),
        ("class=recycled spoil=yes", Treatment.RECIPIENT_ONLY),
    ],
)
def test_a_guessable_trap_with_a_class_refuses_only_itself(local, words, expected):
    name = local.partition("+")[0]
    seen(expected, [], trap(words, name), local=local, config=config())


def test_the_hardest_treatment_of_all_hits_counts():
    played = play(
        OPEN
        + MAIL
        + ONE
        + f"""
        C: RCPT TO:<left-2019@example.com>
        S: {UNKNOWN}
        C: RCPT TO:<hidden-page@example.com>
        S: 250
        C: RCPT TO:<typing-error@example.com>
        S: {UNKNOWN}
        C: DATA
        S: {REFUSED}
        """,
        traps=[
            "left-2019@example.com class=recycled",
            "hidden-page@example.com",
            "typing-error@example.com class=typo",
        ],
        config=config(),
    )
    assert played.messages == []


def test_a_refused_recycled_trap_alone_leaves_no_valid_recipient():
    play(
        OPEN
        + MAIL
        + f"""
        C: RCPT TO:<left-2019@example.com>
        S: {UNKNOWN}
        C: DATA
        S: 554 5.5.1 No valid recipients
        """,
        traps=["left-2019@example.com class=recycled"],
        config=config(),
    )


@pytest.mark.parametrize(
    "words", ["", "class=recycled", "class=learned", "class=message-id", "class=typo"]
)
def test_in_shadow_mode_no_class_has_an_effect(words):
    shadow = config(traps={"action": "shadow"})
    seen(Treatment.NONE, [], trap(words), config=shadow)


ANSWERS = [None, accept(), deny("no"), defer("later")]


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ANSWERS, repeat=2)))
def test_no_plugin_delivers_to_a_trap_that_refuses_only_itself(first, second):
    plugins = [
        plugin(name=name, on_rcpt=lambda _tx, rcpt, one=one: one if "left" in rcpt.user else None)
        for name, one in (("first", first), ("second", second))
    ]
    play(
        OPEN + MAIL + f"C: RCPT TO:<left-2019@example.com>\nS: {UNKNOWN}\n",
        plugins,
        traps=["left-2019@example.com class=recycled"],
        config=config(),
    )


def test_a_standing_that_is_found_after_the_recipient_changes_nothing():
    def trust(tx, rcpt):
        if "hidden" in rcpt.user:
            tx.results.add("standing", "trusted")

    late = plugin(observe_rcpt=trust)
    seen(Treatment.REFUSE_ALL, [late], trap("a note"), config=config())


def test_an_unknown_standing_is_that_of_a_stranger():
    seen(Treatment.REFUSE_ALL, [of_standing("friend")], trap("a note"), config=config())


# The mark


def test_a_mark_has_a_result_that_plugins_read():
    results = []
    seen(
        Treatment.RECIPIENT_ONLY_REST_MARKED,
        [of_standing("trusted", on_message=lambda tx: results.extend(tx.results.all("traps")))],
        trap("a note"),
        config=config(traps={"mark_score": 2.5}),
    )
    assert [(one.value, one.score) for one in results] == [("marked", 2.5)]


@pytest.mark.parametrize("field", ["X-Gatepost-Trap: marked", "x-gatepost-TRAP:\r\n forged"])
def test_a_client_cannot_bring_a_mark(field):
    lines = "".join(f"C: {line}\n" for line in field.split("\r\n"))
    played = play(
        OPEN + MAIL + ONE + f"C: DATA\nS: 354\nC: Subject: x\n{lines}C:\nC: text\nC: .\nS: 250\n",
        config=config(),
    )
    [message] = played.messages
    assert b"gatepost-trap" not in message.content.lower()
    assert message.content.endswith(b"Subject: x\r\n\r\ntext\r\n")


# The standing


@pytest.mark.parametrize(
    ("trusted", "spf", "is_trusted"),
    [
        ([], "pass", False),
        (["192.0.2.0/24"], "none", True),
        (["192.0.2.1"], "none", True),
        (["198.51.100.0/24", "2001:db8::/32"], "pass", False),
        (["client.example"], "pass", True),
        (["client.example"], "softfail", False),
        (["client.example"], "none", False),
        ([".example"], "pass", True),
        (["other.example", "192.0.2.0/24"], "none", True),
    ],
)
def test_trusted_senders_are_networks_and_proven_domains(trusted, spf, is_trusted):
    expected = Treatment.RECIPIENT_ONLY_REST_MARKED if is_trusted else Treatment.REFUSE_ALL
    sender = plugin(name="spf", on_mail=lambda tx, _: tx.results.add("spf", spf) and None)
    seen(expected, [sender], trap("a note"), config=config(traps={"trusted": trusted}))


def test_a_file_of_trusted_senders_has_networks_and_domains(tmp_path):
    path = tmp_path / "partners"
    path.write_text("# partners\n192.0.2.0/24 our branch\nother.example\n")
    made = config(traps={"trusted": [f"file:{path}"]})
    seen(Treatment.RECIPIENT_ONLY_REST_MARKED, [], trap("a note"), config=made)
