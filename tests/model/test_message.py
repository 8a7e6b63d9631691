import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.content import PIECE_COST, READ_SIZE
from gatepost.model.message import Message

IN_MEMORY, IN_FILE = 10**6, 0


@pytest.fixture(params=[IN_MEMORY, IN_FILE])
def message(request, tmp_path):
    with Message(request.param, tmp_path) as message:
        yield message


@pytest.fixture
def message_utf8():
    with Message(IN_MEMORY, utf8=True) as message:
        yield message


@given(st.lists(st.binary(max_size=20), max_size=10), st.sampled_from([0, 20, 100, 500, 10**6]))
def test_written_content_is_read_back(pieces, threshold):
    with Message(threshold) as message:
        for piece in pieces:
            message.write(piece)
        assert b"".join(message.content()) == b"".join(pieces)
        assert message.size == len(b"".join(pieces))
        assert bytes(message) == b"".join(pieces)


def test_a_new_message_is_empty(message):
    assert bytes(message) == b""
    assert message.size == 0


def test_added_fields_come_first(message):
    message.write(b"Subject: x\r\n\r\n")
    message.add_header("First", "1")
    message.write(b"body\r\n")
    message.add_header("Second", "zwei\r\n\tund mehr")
    expected = b"Second: zwei\r\n\tund mehr\r\nFirst: 1\r\nSubject: x\r\n\r\nbody\r\n"
    assert bytes(message) == b"".join(message) == expected
    assert b"".join(message.content()) == b"Subject: x\r\n\r\nbody\r\n"
    with message.open() as file:
        assert file.readline() == b"Second: zwei\r\n"


def test_open_reads_the_whole_message_in_parts(message):
    message.write(b"A: " + b"x" * 2_999_997)
    message.add_header("First", "1")
    with message.open() as file:
        assert file.read(10) == b"First: 1\r\n"
        assert sum(map(len, iter(lambda: file.read(70_000), b""))) == 3_000_000
        assert file.read() == b""


def test_readers_are_independent_of_each_other_and_of_the_writer(message):
    body = bytes(range(1, 256)) * 3000
    message.write(body)
    one, other = message.content(), message.content()
    pieces = [[next(one)], [next(other)]]
    pieces[0].extend(one)
    pieces[1].extend(other)
    assert b"".join(pieces[0]) == b"".join(pieces[1]) == body
    next(message.content())
    message.write(b"more")
    assert b"".join(message.content()) == body + b"more"


def test_content_of_a_file_is_read_in_pieces(tmp_path):
    with Message(0, tmp_path) as message:
        message.write(b"x" * (READ_SIZE + 1))
        assert [len(piece) for piece in message.content()] == [READ_SIZE, 1]


def test_the_file_is_not_visible_in_the_folder(tmp_path):
    with Message(0, tmp_path) as message:
        message.write(b"x")
        assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded_for_tiny_pieces():
    with Message(10_000) as message:
        most = 0
        for number in range(5000):
            message.write(b"%04d" % number)
            most = max(most, sum(map(sys.getsizeof, message._chunks)))
        assert 1000 < most <= 10_000
        assert sys.getsizeof(b"") <= PIECE_COST
        assert len(bytes(message)) == message.size == 20_000


def test_a_missing_folder_raises(tmp_path):
    message = Message(0, tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        message.write(b"x")
    message.close()


def test_a_second_close_has_no_effect(message):
    message.write(b"x")
    message.close()
    message.close()
    assert bytes(message) == b""


def test_a_reader_of_a_closed_message_raises(tmp_path):
    message = Message(0, tmp_path)
    message.write(b"x" * (READ_SIZE + 1))
    reader = message.content()
    next(reader)
    message.close()
    with pytest.raises(ValueError, match="closed file"):
        next(reader)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", "x" * 77, "a\0"])
def test_a_malformed_field_name_is_refused(message, name):
    with pytest.raises(ValueError) as caught:
        message.add_header(name, "x")
    assert str(caught.value) == f"expected a header field name, found {name!r}"
    assert message.edits == ()


@pytest.mark.parametrize(
    "value",
    [
        "a\nb", "a\rb", "a\r\nb", "a\r\n\r\n b", "a\0", "a\r\n", "a\r\n \r\n b", "a\r\n \t", "\r\n",
        "a\r\n \x0b", "a\r\n \0x", "a\r\n b\rc", " \n",
    ],
)  # fmt: skip
def test_a_value_that_breaks_the_header_block_is_refused(message, value):
    with pytest.raises(ValueError) as caught:
        message.add_header("X-Test", value)
    assert str(caught.value) == "header field X-Test: line breaks must be CRLF and white space"
    assert message.edits == ()


@pytest.mark.parametrize(
    "value", ["", "a", "a\r\n b", "a\r\n\t \tb c \r\n d", "\r\n a", "é\r\n \x0bx", "a\r\n b\r\n c"]
)
def test_a_folded_value_is_accepted(message_utf8, value):
    message_utf8.add_header("X-Test", value)
    assert bytes(message_utf8) == f"X-Test: {value}\r\n".encode()


def test_the_check_of_white_space_is_linear(message):
    """A quadratic check would not return."""
    with pytest.raises(ValueError, match="line breaks"):
        message.add_header("X-Test", "a\r\n" + " \t" * 200_000 + "\0")


@given(st.text(st.sampled_from("a \t\r\n\0\x0b")))
def test_an_added_field_never_ends_the_header_block(value):
    with Message(10) as message:
        try:
            message.add_header("X", value)
        except ValueError:
            return
        lines = bytes(message).split(b"\r\n")
        assert lines.pop() == b""
        assert lines[0].startswith(b"X: ")
        assert all(line[:1] in (b" ", b"\t") and line.strip() for line in lines[1:])


def test_stored_content_is_read_each_time():
    message = Message.stored(lambda: iter([b"Subject: x\r\n", b"\r\nHello"]), 19)
    assert [bytes(message), message.open().read()] == [b"Subject: x\r\n\r\nHello"] * 2
    message.add_header("X-Added", "yes")
    assert bytes(message).startswith(b"X-Added: yes\r\nSubject: x\r\n")
    assert message.size == 19
    message.close()


ADDED = b"Authentication-Results: mx.example.com; spf=fail\r\n"
SEPARATED = [
    b" ; dkim=pass header.d=bank.example\r\nSubject: x\r\n\r\nbody\r\n",
    *(b"\tfolded\r\n", b" \r\n", b" ", b"text\r\n", b"two words: x\r\n", b": no name\r\n"),
    *(b"no line end", b"n" * 2000 + b": x\r\n", "Betreff\u00e4: x\r\n".encode(), b"Fromage\r\n"),
]
NOT_SEPARATED = [
    *(b"Subject: x\r\n\r\nbody\r\n", b"Subject : x\r\n", b"\r\nbody\r\n", b"", b"X:\r\n"),
    *(b"From a@b.example Mon Jan  1\r\nSubject: x\r\n", b">From a\r\nSubject: x\r\n"),
]


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize(
    ("content", "separator"),
    [*((one, b"\r\n") for one in SEPARATED), *((one, b"") for one in NOT_SEPARATED)],
)
def test_content_never_continues_an_added_field(message, content, separator, size):
    for at in range(0, len(content), size):
        message.write(content[at : at + size])
    assert bytes(message) == content
    assert message.full_size == len(content)
    message.add_header("Authentication-Results", "mx.example.com; spf=fail")
    assert bytes(message) == ADDED + separator + content
    assert message.full_size == len(bytes(message))
    assert b"".join(message.content()) == content


@pytest.mark.parametrize("content", [SEPARATED[0], NOT_SEPARATED[0]])
def test_stored_content_is_separated_as_received_content_is(content):
    stored = Message.stored(lambda: iter([b"", content[:3], content[3:]]), len(content))
    received = Message(IN_MEMORY)
    received.write(content)
    for one in (stored, received):
        one.add_header("First", "1")
    assert bytes(stored) == bytes(received)
    assert stored.full_size == received.full_size == len(bytes(stored))


class TestWatch:
    CONTENT = b"Subject: hello\r\n\r\nfirst\r\nsecond\r\n"

    def filled(self, *pieces):
        message = Message(10_000)
        for piece in pieces:
            self.add(message, piece)
        return message

    @staticmethod
    def add(message, piece):
        message.write(piece)
        message.received(piece)

    @pytest.mark.parametrize("at", range(18, len(CONTENT)))
    def test_the_body_arrives_in_order_whatever_the_pieces(self, at):
        message = self.filled(*(bytes([one]) for one in self.CONTENT[:at]))
        seen = []
        message.watch(seen.append, body=True)
        for one in self.CONTENT[at:]:
            self.add(message, bytes([one]))
        message.complete()
        assert b"".join(seen) == b"first\r\nsecond\r\n"

    def test_everything_is_seen_without_body(self):
        message, seen = self.filled(self.CONTENT[:25]), []
        message.watch(seen.append)
        self.add(message, self.CONTENT[25:])
        assert b"".join(seen) == self.CONTENT

    def test_a_complete_message_is_passed_on_at_once(self):
        message, seen = self.filled(self.CONTENT), []
        message.complete()
        message.watch(seen.append, body=True)
        assert b"".join(seen) == b"first\r\nsecond\r\n"
        assert message.watches == ()

    @pytest.mark.parametrize("content", [b"", b"no field", b"\r\n", b"Subject: x\r\n"])
    def test_content_without_a_body(self, content):
        message, seen = self.filled(content), []
        message.complete()
        message.watch(seen.append, body=True)
        assert b"".join(seen) == content.removeprefix(b"\r\n").removeprefix(b"Subject: x\r\n")

    def test_a_function_that_raises_is_called_once(self):
        message, calls = self.filled(self.CONTENT[:20]), []

        def fail(piece):
            calls.append(piece)
            raise ValueError("wrong")

        watch = message.watch(fail)
        self.add(message, b"more")
        assert len(calls) == 1
        with pytest.raises(ValueError, match="wrong"):
            watch.check()

    def test_a_sealed_message_cannot_be_watched(self):
        message = self.filled(self.CONTENT)
        message.seal()
        with pytest.raises(RuntimeError, match="cannot be watched now"):
            message.watch(print)
