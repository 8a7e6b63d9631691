"""Edits of a message: only what is edited changes, in memory and in files, wherever it is cut."""

import email
import re
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model import edits
from gatepost.model.author import Named
from gatepost.model.content import Content
from gatepost.model.headers import Headers
from gatepost.model.message import Message

IN_MEMORY, IN_FILE = 10**6, 0
BLOCK = (
    b"Received: from a\r\n\tby b; now\r\n"
    b"X-Spam: yes\r\n"
    b"Subject: Hello\r\n  there \r\n"
    b"x-spam : maybe\r\n 1\r\n"
    b"To:b\r\n"
)
BODY = b"\r\nX-Spam: not a field\r\n\r\nend\r\n"
CONTENT = BLOCK + BODY


def received(content=CONTENT, threshold=IN_MEMORY, size=10**6, folder=None, **options):
    message = Message(threshold, folder, **options)
    for at in range(0, len(content), size):
        message.write(content[at : at + size])
    message.complete()
    return message


@pytest.fixture(params=[(IN_MEMORY, 10**6), (IN_MEMORY, 3), (IN_FILE, 10**6)])
def message(request, tmp_path):
    threshold, size = request.param
    with received(CONTENT, threshold, size, tmp_path) as made:
        yield made


def whole(message):
    """Return the message, read in three ways that must agree."""
    result = bytes(message)
    assert message.full_size == len(result)
    with message.open() as file:
        assert file.read() == result
    assert b"".join(message.content()) == CONTENT or message.size != len(CONTENT)
    return result


def described(message):
    return [str(edit) for edit in message.edits]


# removing


def test_fields_are_removed_in_any_case_with_their_folded_lines(message):
    assert message.remove_header("X-SPAM") == 2
    expected = CONTENT.replace(b"X-Spam: yes\r\n", b"").replace(b"x-spam : maybe\r\n 1\r\n", b"")
    assert whole(message) == expected
    assert described(message) == ["removed X-SPAM: yes and 1 more"]


def test_only_fields_with_a_certain_value_are_removed(message):
    seen = []
    assert message.remove_header("x-spam", lambda value: seen.append(value) or "1" in value) == 1
    assert seen == ["yes", "maybe 1"]
    assert whole(message) == CONTENT.replace(b"x-spam : maybe\r\n 1\r\n", b"")
    assert described(message) == ["removed x-spam: maybe 1"]


@pytest.mark.parametrize("name", ["X-Other", "Spam", "X-Spa", "", "X-Spam:", "\r\nTo", " 1", "é"])
def test_removing_a_field_that_is_not_there_changes_nothing(message, name):
    assert message.remove_header(name) == 0
    assert whole(message) == CONTENT
    assert list(message.edits) == []


def test_a_test_that_fails_changes_nothing(message):
    with pytest.raises(ZeroDivisionError):
        message.remove_header("X-Spam", lambda value: value == "yes" or 1 / 0)
    assert whole(message) == CONTENT


def test_all_fields_can_be_removed(message):
    for name in ("received", "x-spam", "subject", "to"):
        message.remove_header(name)
    assert whole(message) == BODY
    message.add_header("First", "1")
    assert whole(message) == b"First: 1\r\n" + BODY


# replacing


def test_the_first_field_is_replaced_in_place_and_the_others_are_removed(message):
    assert message.replace_header("X-Spam", "no") == 2
    expected = CONTENT.replace(b"X-Spam: yes\r\n", b"X-Spam: no\r\n")
    assert whole(message) == expected.replace(b"x-spam : maybe\r\n 1\r\n", b"")
    assert described(message) == ["replaced X-Spam: no"]


def test_a_field_that_is_not_there_is_added_behind_the_others(message):
    assert message.replace_header("Subject2", "x") == 0
    assert whole(message) == BLOCK + b"Subject2: x\r\n" + BODY
    assert described(message) == ["added Subject2: x"]


# adding


def test_fields_are_added_in_front_and_behind(message):
    message.add_header("A", "1")
    message.add_header("B", "2", first=False)
    message.add_header("C", "3")
    message.add_header("D", "4", first=False)
    assert whole(message) == b"C: 3\r\nA: 1\r\n" + BLOCK + b"B: 2\r\nD: 4\r\n" + BODY
    assert described(message) == ["added A: 1", "added B: 2", "added C: 3", "added D: 4"]


def test_trace_fields_stay_in_front_of_all_others(message):
    message.add_trace(b"Received: by us\r\n")
    message.add_header("A", "1")
    assert message.remove_header("Received") == 1
    rest = BLOCK[BLOCK.index(b"X-Spam") :] + BODY
    assert whole(message) == b"Received: by us\r\nA: 1\r\n" + rest


def test_edits_compose_in_order(message):
    message.add_header("X-Spam", "added")
    message.add_header("X-Spam", "appended", first=False)
    assert message.replace_header("X-Spam", "one") == 4
    assert message.headers().get_all("x-spam") == ["one"]
    assert whole(message).startswith(b"X-Spam: one\r\nReceived: from a")
    assert message.remove_header("x-spam") == 1
    assert message.remove_header("x-spam") == 0
    message.add_header("X-Spam", "again")
    assert message.headers().get_all("x-spam") == ["again"]
    assert len(message.edits) == 5


def test_headers_are_those_of_the_edited_message(message):
    assert message.headers().get("Subject") == "Hello  there"
    message.replace_header("Subject", f"[EXT] {message.headers().get('Subject')}")
    assert message.headers().get("Subject") == "[EXT] Hello  there"
    assert Headers(BLOCK).get("Subject") == "Hello  there"


def test_values_that_are_not_ascii_are_encoded_unless_smtputf8_was_requested():
    with received() as plain, received(utf8=True) as utf8:
        for one in (plain, utf8):
            one.replace_header("Subject", "Grüße")
        assert b"\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n" in bytes(plain)
        assert "\r\nSubject: Grüße\r\n".encode() in bytes(utf8)


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "a\nb", "a\rb", "a\0b", "a\r\n\r\nb"])
@pytest.mark.parametrize("method", ["add_header", "replace_header"])
def test_a_value_never_becomes_a_second_field(message, method, value):
    with pytest.raises(ValueError, match="line breaks must be CRLF and white space"):
        getattr(message, method)("Subject", value)
    assert whole(message) == CONTENT


@pytest.mark.parametrize("name", ["", "Sub ject", "Subject:", "Sübject", "A\r\nB"])
@pytest.mark.parametrize("method", ["add_header", "replace_header"])
def test_a_malformed_name_is_refused(message, method, name):
    with pytest.raises(ValueError, match="expected a header field name"):
        getattr(message, method)(name, "x")
    assert whole(message) == CONTENT


# content of other forms


@pytest.mark.parametrize(
    ("content", "removed", "appended"),
    [
        (b"", b"", b"N: 1\r\n"),
        (b"\r\nbody", b"\r\nbody", b"N: 1\r\n\r\nbody"),
        (b"X: a\r\n\r\n", b"\r\n", b"X: a\r\nN: 1\r\n\r\n"),
        (b"X: a\r\n", b"", b"X: a\r\nN: 1\r\n"),
        (b"X: a", b"", b"X: a\r\nN: 1\r\n"),
        (b"X: a\r\n b", b"", b"X: a\r\n b\r\nN: 1\r\n"),
        (b"text\r\nX: a\r\n\r\n", None, b"N: 1\r\n\r\ntext\r\nX: a\r\n\r\n"),
        (b" X: a\r\n\r\n", None, b"N: 1\r\n\r\n X: a\r\n\r\n"),
        (
            b"From a@b Mon\r\nX: a\r\n\r\nb",
            b"From a@b Mon\r\n\r\nb",
            b"From a@b Mon\r\nX: a\r\nN: 1\r\n\r\nb",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_content_with_an_unusual_header_block(content, removed, appended, size):
    with received(content, size=size) as message:
        assert message.remove_header("x") == (removed is not None and b"X: a" in content)
        assert bytes(message) == (content if removed is None else removed)
    with received(content, size=size) as message:
        message.add_header("N", "1", first=False)
        assert bytes(message) == appended
        assert message.full_size == len(appended)


def test_a_body_that_looks_like_fields_stays_a_body():
    with received(b"no header\r\n") as message:
        message.replace_body(b"Bcc: x\r\n")
        assert bytes(message) == b"\r\nBcc: x\r\n"
    with received(b"X: a") as message:
        message.replace_body(b"Bcc: x\r\n")
        assert bytes(message) == b"X: a\r\n\r\nBcc: x\r\n"


def test_a_long_header_block_only_gets_fields_in_front(monkeypatch):
    monkeypatch.setattr(edits, "MAX_BLOCK", 1000)
    content = b"X: " + b"x" * 1000 + b"\r\nDKIM-Signature: d=a; h=n:n\r\n" + BODY
    with received(content, size=100) as message:
        message.add_header("N", "1")
        assert bytes(message) == b"N: 1\r\n" + content
        for edit in (
            lambda: message.remove_header("X"),
            lambda: message.replace_header("X", "1"),
            lambda: message.add_header("X", "1", first=False),
            lambda: message.replace_body(b""),
            message.headers,
        ):
            with pytest.raises(ValueError, match="more than 1000 octets and cannot be edited"):
                edit()
        assert bytes(message) == b"N: 1\r\n" + content
        assert message.full_size == len(bytes(message))


@pytest.mark.parametrize("size", [1000, 10**6])
def test_a_header_block_at_the_limit_can_be_edited(monkeypatch, size):
    block = b"X: " + b"x" * 995 + b"\r\n"
    monkeypatch.setattr(edits, "MAX_BLOCK", 1000)
    with received(block + BODY, size=size) as message:
        assert message.remove_header("X") == 1


def test_stored_content_can_be_edited():
    message = Message.stored(lambda: iter([CONTENT[:5], CONTENT[5:9], CONTENT[9:]]), len(CONTENT))
    assert message.remove_header("To") == 1
    assert whole(message) == CONTENT.replace(b"To:b\r\n", b"")


def test_a_large_message_is_not_copied(tmp_path):
    with received(CONTENT + b"x" * 10**6, IN_FILE, folder=tmp_path) as message:
        message.replace_header("Subject", "y")
        assert max(map(len, message)) <= 256 * 1024
        assert whole(message).endswith(b"\r\nend\r\n" + b"x" * 10**6)


# the body


def test_the_body_is_replaced(message):
    message.replace_body(b"one\r\n")
    assert whole(message) == BLOCK + b"\r\none\r\n"
    message.remove_header("X-Spam")
    message.replace_body(iter([b"two\r", b"\n", b"", b"lines\r\n"]))
    assert whole(message).endswith(b"To:b\r\n\r\ntwo\r\nlines\r\n")
    kinds = [(edit.kind, edit.name, edit.summary) for edit in message.edits]
    assert kinds == [
        ("body replaced", "", "5 octets"),
        ("removed", "X-Spam", "yes and 1 more"),
        ("body replaced", "", "12 octets"),
    ]
    assert str(message.edits[0]) == "body replaced: 5 octets"


def test_the_body_can_be_made_of_the_message_itself(message):
    message.replace_body(message.content())
    assert whole(message) == BLOCK + b"\r\n" + CONTENT
    message.replace_body(iter(message))
    assert whole(message) == BLOCK + b"\r\n" + BLOCK + b"\r\n" + CONTENT


def test_a_replaced_body_is_in_memory_or_in_a_file(tmp_path):
    with received(threshold=1000, folder=tmp_path) as message:
        assert message.octets_held() == (len(CONTENT), 0)
        message.replace_body(b"x" * 100)
        assert message.octets_held() == (len(CONTENT) + 100, 0)
        message.replace_body([b"x" * 600] * 2)
        assert message.octets_held() == (len(CONTENT), 1200)
        message.move_to_file()
        assert message.octets_held() == (0, len(CONTENT) + 1200)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pieces", "problem"),
    [
        ([b"a\r\nb\rc"], "bare CR at offset 4"),
        ([b"a\r\n", b"b\n"], "bare LF at offset 4"),
        ([b"\n"], "bare LF at offset 0"),
        ([b"ab", b"c\0"], "NUL at offset 3"),
        ([b"a\r", b"b"], "bare CR at offset 1"),
        ([b"a\r"], "bare CR at offset 1"),
        ([b"\r", b"\r\n"], "bare CR at offset 0"),
        ([b"\r\n\n\r"], "bare LF at offset 2"),
    ],
)
def test_an_impure_body_is_refused(message, pieces, problem):
    message.replace_body(b"before\r\n")
    with pytest.raises(ValueError, match=f"^replaced body: {problem}$"):
        message.replace_body(pieces)
    assert whole(message) == BLOCK + b"\r\nbefore\r\n"
    assert len(message.edits) == 1


@pytest.mark.parametrize("body", ["text", [b"a", "b"], 5, [5], None])
def test_a_body_of_another_type_is_refused(message, body):
    with pytest.raises(TypeError):
        message.replace_body(body)
    assert whole(message) == CONTENT


def test_a_body_over_the_limit_is_refused(tmp_path):
    with received(folder=tmp_path, largest=100) as message:
        message.replace_body(b"x" * 100)
        with pytest.raises(ValueError, match=r"more than 100 octets \(limits.message_size\)"):
            message.replace_body(b"x" for _ in range(101))
        assert bytes(message) == BLOCK + b"\r\n" + b"x" * 100


def test_the_body_stays_if_the_disk_fails(tmp_path):
    with received(threshold=1000, folder=tmp_path / "gone") as message:
        with pytest.raises(FileNotFoundError):
            message.replace_body(b"x" * 2000)
        assert whole(message) == CONTENT


def test_closing_frees_the_replaced_body(monkeypatch):
    closed = []
    monkeypatch.setattr(Content, "close", lambda content: closed.append(type(content)))
    message = received()
    message.replace_body(b"x")
    message.replace_body(b"y")
    message.close()
    assert closed == [Content, Message, Content]


def test_a_body_that_is_not_ascii_needs_8bitmime(message):
    assert not message.needs_8bitmime
    message.replace_body("ü".encode())
    assert message.needs_8bitmime
    message.replace_body(b"u")
    assert not message.needs_8bitmime


# when


EDITS = [
    lambda message: message.add_header("A", "1"),
    lambda message: message.add_header("A", "1", first=False),
    lambda message: message.remove_header("X-Spam"),
    lambda message: message.replace_header("X-Spam", "1"),
    lambda message: message.replace_body(b""),
]


@pytest.mark.parametrize("end", ["seal", "close"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_sealed_message_cannot_be_edited(edit, end):
    message = received()
    getattr(message, end)()
    with pytest.raises(RuntimeError, match="the message cannot be edited now"):
        edit(message)
    assert not message.edits


@pytest.mark.parametrize("content", [b"", b"Subject: x\r\nX-Spam: y\r\n"])
def test_an_incomplete_header_block_only_gets_fields_in_front(content):
    message = Message(IN_MEMORY)
    message.write(content)
    EDITS[0](message)
    for edit in (*EDITS[1:4], Message.headers):
        with pytest.raises(RuntimeError, match="the header block is incomplete"):
            edit(message)
    message.write(b"\r\nbody\r\n" if content else BODY)
    message.complete()
    for edit in EDITS[1:]:
        edit(message)


def test_fields_can_be_edited_while_the_body_is_received():
    message = Message(IN_MEMORY)
    message.write(CONTENT[:-3])
    message.remove_header("X-Spam")
    with pytest.raises(RuntimeError, match="the body has not been received yet"):
        message.replace_body(b"")
    message.write(CONTENT[-3:])
    message.complete()
    assert whole(message).endswith(b"To:b\r\n" + BODY)


def test_facts_cannot_be_assigned(message):
    for name in ("size", "full_size", "edits", "broken_signatures", "in_file", "added"):
        with pytest.raises(AttributeError):
            setattr(message, name, None)


def test_an_edit_names_its_plugin(message):
    message.author = Named("tagger")
    message.remove_header("To")
    assert described(message) == ["removed To: b (by tagger)"]


def test_a_long_value_is_shortened_in_the_description(message):
    message.add_header("X", "a b " * 100)
    assert described(message) == [f"added X: {'a b ' * 25}…"]


# signatures


def signed(*signatures):
    return b"".join(b"%s\r\n" % one for one in signatures) + CONTENT


DKIM = (
    b"DKIM-Signature: v=1; a=x; d=a.example; s=s;\r\n\th=From : subject:\r\n To; bh=x; b=h=x-spam"
)
ARC = b"ARC-Message-Signature: i=1; h=subject:received; d=b.example"
OVERSIGNED = b"DKIM-Signature: d=c.example; h=subject:subject:x-new"


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        (lambda m: m.replace_header("Subject", "x"), ["DKIM a", "ARC b", "DKIM c"]),
        (lambda m: m.remove_header("TO"), ["DKIM a"]),
        (lambda m: m.remove_header("Received"), ["ARC b"]),
        (lambda m: m.remove_header("To", lambda value: value == "c"), []),
        (lambda m: m.remove_header("X-Spam"), []),
        (lambda m: m.add_header("X-Other", "1"), []),
        (lambda m: m.add_header("X-Other", "1", first=False), []),
        (lambda m: m.add_header("X-New", "1"), ["DKIM c"]),
        (lambda m: m.replace_header("X-New", "1"), ["DKIM c"]),
        (lambda m: m.add_header("Received", "1"), []),
        (lambda m: m.add_header("Received", "1", first=False), ["ARC b"]),
        (lambda m: m.add_header("Subject", "1"), ["DKIM c"]),
        (lambda m: m.replace_body(b""), ["DKIM a", "DKIM c", "ARC b"]),
        (lambda m: m.remove_header("DKIM-Signature"), []),
        (lambda m: m.remove_header("h"), []),
    ],
)
def test_edits_of_what_is_signed_are_noted(edit, broken):
    names = {"DKIM": "DKIM-Signature", "ARC": "ARC-Message-Signature"}
    expected = [f"{names[one.split()[0]]} of {one.split()[1]}.example" for one in broken]
    with received(signed(DKIM, ARC, OVERSIGNED)) as message:
        edit(message)
        assert sorted(message.broken_signatures) == sorted(expected)


@pytest.mark.parametrize("edited", [False, True], ids=["as received", "edited"])
def test_signatures_over_a_field_or_the_body_can_be_known_before(edited):
    with received(signed(DKIM, ARC, OVERSIGNED)) as message:
        if edited:
            message.add_header("X-Other", "1")
        assert message.signatures_over("X-New") == ["DKIM-Signature of c.example"]
        assert message.signatures_over("X-Spam") == []
        assert sorted(message.signatures_over()) == [
            "ARC-Message-Signature of b.example",
            "DKIM-Signature of a.example",
            "DKIM-Signature of c.example",
        ]
        assert not message.broken_signatures


def test_each_signature_is_noted_once():
    with received(signed(DKIM, DKIM)) as message:
        message.remove_header("To")
        message.replace_header("Subject", "x")
        assert message.broken_signatures == ["DKIM-Signature of a.example"]


def test_a_signature_that_was_removed_is_not_noted():
    with received(signed(DKIM)) as message:
        message.remove_header("DKIM-Signature")
        message.remove_header("To")
        assert message.broken_signatures == []


@pytest.mark.parametrize(
    "value", [b"", b";;=;h", b"h=", b"h=:::; d", b"=;h=\xff", b"d=" + b"x" * 999]
)
def test_a_malformed_signature_has_no_effect(value):
    with received(signed(b"DKIM-Signature: " + value)) as message:
        message.remove_header("To")
        assert message.broken_signatures == []
        message.replace_body(b"")
        (title,) = message.broken_signatures
        assert title.startswith("DKIM-Signature of ")
        assert len(title) < 300


# properties

NAMES = ["Subject", "X-Spam", "To", "X-A", "x-a"]
VALUE = st.text(st.sampled_from("ab é"), max_size=100)
FIELD = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from([b"", b" "]),
    st.sampled_from([b"", b" #", b"\t#\r\n\t~", b" #\r\n  ~ ", b" \xff"]),
)
# The text that a field must have to be removed is in no encoded word.
EDIT = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), VALUE, st.booleans()),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.sampled_from(["", "#", "~"])),
    st.tuples(st.just("replace"), st.sampled_from(NAMES), VALUE),
    st.tuples(st.just("replace_body"), st.sampled_from([b"", b"new\r\n", b"\r\nX-Spam: 1\r\n"])),
)


def apply(message, edit):
    match edit:
        case ("add", name, value, first):
            message.add_header(name, value, first=first)
        case ("remove", name, text):
            message.remove_header(name, lambda value: text in value)
        case ("replace", name, value):
            message.replace_header(name, value)
        case ("replace_body", body):
            message.replace_body([body[:3], body[3:]])


class Model:
    """The same edits on a list of fields, each (name, value, octets; None if made by an edit)."""

    def __init__(self, fields, body):
        self.fields = [(name, self._text(value), name.encode() + blank + b":" + value + b"\r\n")
                       for name, blank, value in fields]  # fmt: skip
        self.body = body

    @staticmethod
    def _text(value):
        return value.decode("utf-8", "replace").replace("\r\n", "").strip()

    def apply(self, edit):
        kind, *rest = edit
        getattr(self, kind)(*rest)

    def add(self, name, value, first):
        self.fields.insert(0 if first else len(self.fields), (name, value, None))

    def remove(self, name, text):
        self.fields = [one for one in self.fields if not (self._is(one, name) and text in one[1])]

    def replace(self, name, value):
        found = [at for at, one in enumerate(self.fields) if self._is(one, name)]
        at = found[0] if found else len(self.fields)
        self.fields.insert(at, (name, value, None))
        rest = [one for one in self.fields[at + 1 :] if not self._is(one, name)]
        self.fields[at + 1 :] = rest

    def replace_body(self, body):
        self.body = body

    @staticmethod
    def _is(field, name):
        return field[0].lower() == name.lower()


@given(
    st.lists(FIELD, max_size=6),
    st.lists(EDIT, max_size=6),
    st.integers(1, 50),
    st.sampled_from([0, 60, 10**6]),
)
def test_untouched_octets_stay_and_edits_are_read_back(fields, made, size, threshold):
    body = b"text\r\nX-A: b\r\n"
    block = b"".join(
        name.encode() + blank + b":" + value + b"\r\n" for name, blank, value in fields
    )
    model = Model(fields, body)
    with received(block + b"\r\n" + body, threshold, size) as message:
        for edit in made:
            apply(message, edit)
            model.apply(edit)
        result = bytes(message)
        assert message.full_size == len(result)
        assert [(n, v) for n, v in message.headers()] == _parsed(result)
    assert result.endswith(b"\r\n" + model.body)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", result)
    head = result.removesuffix(b"\r\n" + model.body)
    _compare(head, model.fields)


def _parsed(result):
    return list(Headers(result.partition(b"\r\n\r\n")[0] if result[:2] != b"\r\n" else b""))


def _compare(head, fields):
    """Compare the header block with the fields of the model, one after the other."""
    for name, value, octets in fields:
        end = re.compile(rb"\r\n(?![ \t])").search(head).end()
        field, head = head[:end], head[end:]
        if octets is not None:
            assert field == octets
        else:
            assert field.startswith(name.encode() + b": ")
            assert field.isascii()
            _compare_value(field, value)
    assert head == b""


def _compare_value(field, value):
    ((_, found),) = email.message_from_bytes(field + b"\r\n").items()
    text = str(make_header(decode_header(found.replace("\r\n", ""))))
    assert text.split() == value.split()
