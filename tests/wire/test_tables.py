"""The protocols of look-ups: socketmap, tcp_table and Dovecot's, from the client's side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.tables.conversation import Answer, BadAnswerError
from gatepost.wire.tables.dovecot import DovecotUsers, escape, unescape
from gatepost.wire.tables.socketmap import MAX_ANSWER, Socketmap
from gatepost.wire.tables.tcp_table import TcpTable

KEY = "ann@example.com"
HELLO = b"VERSION\t1\t2\nSPID\t77\n"

MAKERS = {
    "socketmap": lambda: Socketmap("users"),
    "tcp": TcpTable,
    "dovecot": lambda: DovecotUsers("smtp"),
}


def answers(conversation, data, size=0):
    """The answers to octets, received in one piece or in pieces of a size."""
    found = []
    for start in range(0, len(data), size or len(data) or 1):
        conversation.receive_data(data[start : start + (size or len(data))])
        while (answer := conversation.next_answer()) is not None:
            found.append(answer)
    return found


def asked(name, *keys):
    conversation = MAKERS[name]()
    for key in keys:
        conversation.request(key)
    return conversation


def test_a_socketmap_request_is_a_netstring_of_the_name_and_the_key():
    assert Socketmap("users").request(KEY) == b"21:users ann@example.com,"


def test_the_length_of_a_netstring_counts_octets():
    assert Socketmap("m").request("ö,\n") == "6:m ö,\n,".encode()


def test_special_octets_of_a_tcp_request_are_encoded():
    assert TcpTable().request("a b%\n\0ö~-_.!") == b"get a%20b%25%0A%00%C3%B6~-_.!\n"


def test_special_characters_of_a_dovecot_request_are_escaped():
    request = DovecotUsers("smtp").request("a\tb\nUSER\r\0\x01")
    assert request == b"USER\t1\ta\x01tb\x01nUSER\x01r\x010\x011\tservice=smtp\n"


ANSWERS = [
    ("socketmap", b"5:OK ab,", Answer(KEY, "ab")),
    ("socketmap", b"3:OK ,", Answer(KEY, "")),
    ("socketmap", b"9:NOTFOUND ,", Answer(KEY)),
    ("socketmap", b"8:NOTFOUND,", Answer(KEY)),
    ("socketmap", b"8:TEMP why,", Answer(KEY, problem="TEMP why")),
    ("socketmap", b"8:TIMEOUT ,", Answer(KEY, problem="TIMEOUT ")),
    ("socketmap", b"8:PERM why,", Answer(KEY, problem="PERM why")),
    ("socketmap", b"4:OK \xff,", Answer(KEY, "\ufffd")),
    ("tcp", b"200 a%20b%0A\n", Answer(KEY, "a b\n")),
    ("tcp", b"200 100%\n", Answer(KEY, "100%")),
    ("tcp", b"500 not%20found\n", Answer(KEY)),
    ("tcp", b"500\n", Answer(KEY)),
    ("tcp", b"400 later\n", Answer(KEY, problem="later")),
    ("tcp", b"400 \n", Answer(KEY, problem="the server reports an error")),
    ("dovecot", HELLO + b"USER\t1\tann\tuid=8\thome=/x\n", Answer(KEY, "ann")),
    ("dovecot", HELLO + b"USER\t1\ta\x01tn\x01q\n", Answer(KEY, "a\tnq")),
    ("dovecot", HELLO + b"NOTFOUND\t1\n", Answer(KEY)),
    ("dovecot", HELLO + b"FAIL\t1\n", Answer(KEY, problem="Dovecot reports an error")),
    ("dovecot", HELLO + b"FAIL\t1\treason=no db\n", Answer(KEY, problem="reason=no db")),
]


@pytest.mark.parametrize(("name", "data", "answer"), ANSWERS)
@pytest.mark.parametrize("size", [0, 1])
def test_an_answer_is_read_in_one_piece_and_octet_by_octet(name, data, answer, size):
    assert answers(asked(name, KEY), data, size) == [answer]


BAD = [
    ("socketmap", b"OK x"),
    ("socketmap", b":,"),
    ("socketmap", b"05:OK ab,"),
    ("socketmap", b"-1:,"),
    ("socketmap", b"1234567"),
    ("socketmap", b"%d:" % (MAX_ANSWER + 1)),
    ("socketmap", b"5:OK ab;"),
    ("socketmap", b"2:OK,"),
    ("socketmap", b"6:FOUND ,"),
    ("tcp", b"250 ok\n"),
    ("tcp", b"200\n"),
    ("tcp", b"\n"),
    ("tcp", b"x" * 4097),
    ("dovecot", b"VERSION\t2\t0\n"),
    ("dovecot", b"VERSION\n"),
    ("dovecot", b"USER\t1\tann\n"),
    ("dovecot", b"220 mail ESMTP\r\n"),
    ("dovecot", HELLO + b"USER\t2\tann\n"),
    ("dovecot", HELLO + b"USER\n"),
    ("dovecot", HELLO + b"USER\t1\n"),
    ("dovecot", HELLO + b"x" * 8193),
]


@pytest.mark.parametrize(("name", "data"), BAD)
@pytest.mark.parametrize("size", [0, 1])
def test_nonsense_raises_an_error_that_quotes_it(name, data, size):
    with pytest.raises(BadAnswerError, match=r"^expected .*, found b'"):
        answers(asked(name, KEY), data, size)


@pytest.mark.parametrize("data", [b"8:NOTFOUND,", b"500\n"])
def test_an_answer_without_a_request_raises_an_error(data):
    conversation = MAKERS["socketmap" if b"," in data else "tcp"]()
    with pytest.raises(BadAnswerError, match="without a request"):
        answers(conversation, data)


def test_ordered_answers_belong_to_the_requests_in_their_order():
    found = answers(asked("tcp", "a", "b"), b"500 no\n200 x\n")
    assert found == [Answer("a"), Answer("b", "x")]


def test_answers_of_dovecot_belong_to_the_requests_of_their_numbers():
    found = answers(asked("dovecot", "a", "b"), HELLO + b"NOTFOUND\t2\nUSER\t1\tx\n")
    assert found == [Answer("b"), Answer("a", "x")]


def test_each_request_to_dovecot_gets_one_answer():
    conversation = asked("dovecot", "a")
    with pytest.raises(BadAnswerError, match="number of a request"):
        answers(conversation, HELLO + b"USER\t1\tx\nUSER\t1\tx\n")


def test_lines_of_dovecot_that_are_no_answers_are_ignored():
    assert answers(asked("dovecot", "a"), HELLO + b"LIST\t1\nNOTFOUND\t1\n") == [Answer("a")]


@given(st.sampled_from(sorted(MAKERS)), st.binary(max_size=300), st.integers(1, 40))
def test_any_octets_are_answers_or_bad_answers(name, data, size):
    conversation = asked(name, KEY)
    try:
        found = answers(conversation, data, size)
    except BadAnswerError:
        return
    assert all(answer.key == KEY for answer in found)


@given(st.sampled_from(sorted(MAKERS)), st.data())
def test_octets_have_the_same_meaning_in_any_pieces(name, data):
    good = [octets for other, octets, _ in ANSWERS if other == name]
    octets = data.draw(st.sampled_from(good)) + data.draw(st.binary(max_size=8))
    outcomes = []
    for size in (0, 1, data.draw(st.integers(1, 9))):
        try:
            outcomes.append(answers(asked(name, KEY, KEY, KEY), octets, size))
        except BadAnswerError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(st.text())
def test_no_key_can_end_a_line_or_a_field_of_dovecot(key):
    escaped = escape(key)
    assert not set(escaped) & set("\0\t\r\n")
    assert unescape(escaped) == key


@given(st.text())
def test_no_key_can_end_a_line_of_a_tcp_request(key):
    request = TcpTable().request(key)
    assert request.endswith(b"\n")
    assert not set(request[:-1]) - set(range(0x21, 0x7F)) - {0x20}
    assert request.count(b" ") == request.count(b"\n") == 1


@given(st.text())
def test_a_socketmap_request_is_one_netstring(key):
    head, _, rest = Socketmap("m").request(key).partition(b":")
    assert rest == f"m {key},".encode()
    assert len(rest) == int(head) + 1
