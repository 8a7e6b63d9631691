"""The target `sendmail:`: arguments, batches and failures."""

import pytest
from tests.delivery.contract import Contract
from tests.delivery.programs import deliver, python, script
from tests.delivery.samples import NULL_PATH, delivery, message, recipient

from gatepost.config.schema import RouteConfig
from gatepost.delivery.program import sendmail
from gatepost.delivery.program.environment import BAD_RECIPIENT, BAD_SENDER
from gatepost.delivery.registry import make_target
from gatepost.model.address import Address

KEEPING = 'file=$(mktemp "${0%/*}/tmp.XXXXXX") && cat > "$file" && mv "$file" "$file.whole"'
SHOWING = "import sys; open('seen', 'a').write(repr(sys.argv[1:]) + '\\n')"


def target(base, command):
    return make_target(RouteConfig(to=f"sendmail:{command}"), base=base, hostname="mx.example.com")


def runs(base, what, extra=""):
    assert deliver(target(base, f"{python(base, SHOWING)}{extra}"), what) == {}
    return [eval(line) for line in (base / "seen").read_text().splitlines()]


class TestContract(Contract):
    one_copy = True

    def target(self, base):
        return target(base, script(base, KEEPING))

    def kept(self, base):
        read = (path.read_bytes() for path in sorted(base.glob("*.whole")))
        return [content.replace(b"\n", b"\r\n") for content in read]


def test_the_arguments_of_sendmail(tmp_path):
    people = recipient("A+x@example.com"), recipient('"a b"@b\u00fccher.example')
    assert runs(tmp_path, delivery(*people), " -C '/etc/x y'") == [
        [
            *("-C", "/etc/x y", "-i", "-f", "sender@example.net", "--"),
            *("A+x@example.com", '"a b"@b\u00fccher.example'),
        ]
    ]


def test_the_null_reverse_path_is_a_pair_of_angle_brackets(tmp_path):
    what = delivery(recipient("postmaster"), sender=NULL_PATH)
    assert runs(tmp_path, what) == [["-i", "-f", "<>", "--", "postmaster"]]


def test_many_recipients_are_delivered_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(sendmail, "BATCH", 2)
    people = [recipient(f"{name}@example.com") for name in "abcde"]
    called = runs(tmp_path, delivery(*people))
    assert ["".join(one[0] for one in arguments[4:]) for arguments in called] == ["ab", "cd", "e"]


def test_the_longest_addresses_of_a_batch_fit(tmp_path):
    letter = "\U00010400"
    longest = f"{letter * 64}@{'.'.join([letter * 12] * 5)}"
    people = [recipient(longest) for _ in range(sendmail.BATCH)]
    assert deliver(target(tmp_path, script(tmp_path, "exit 0")), delivery(*people)) == {}


def test_a_failed_batch_does_not_affect_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(sendmail, "BATCH", 2)
    people = [recipient(f"{name}@example.com") for name in "abc"]
    program = script(tmp_path, 'cat > /dev/null; test "$5" = a@example.com && exit 0; exit 67')
    failures = deliver(target(tmp_path, program), delivery(*people))
    assert [*failures] == [people[2]]
    assert failures[people[2]].reply.code == 550
    assert failures[people[2]].detail == f"sendmail: {program}: exit status 67 (EX_NOUSER)"


@pytest.mark.parametrize(
    ("sender", "person", "reply"),
    [
        ("-x@example.net", "a@example.com", BAD_SENDER),
        ("a@example.net", "-x@example.com", BAD_RECIPIENT),
    ],
)
def test_an_address_that_could_be_an_option_is_refused(tmp_path, sender, person, reply):
    what = delivery(recipient(person), sender=Address.parse(sender))
    failures = deliver(target(tmp_path, "/bin/false"), what)
    assert [error.reply for error in failures.values()] == [reply]


@pytest.mark.parametrize("command", ["/bin/cat {recipient}", "/bin/cat {x}"])
def test_fields_are_refused(tmp_path, command):
    with pytest.raises(ValueError, match="expected no fields, found "):
        target(tmp_path, command)


def test_a_single_full_stop_is_content(tmp_path):
    program = script(tmp_path, "cat > taken")
    what = delivery(recipient("a@example.com"), of=message(b"x: y\r\n\r\n.\r\nz\r\n"))
    deliver(target(tmp_path, program), what)
    assert (tmp_path / "taken").read_bytes() == b"x: y\n\n.\nz\n"
