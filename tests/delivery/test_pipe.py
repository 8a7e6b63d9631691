"""The target `pipe:`: arguments, environment and exit statuses."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.contract import Contract
from tests.delivery.programs import deliver, python, script
from tests.delivery.samples import NULL_PATH, delivery, message, recipient

from gatepost.config.schema import PipeConfig, RouteConfig
from gatepost.delivery.content import with_lf
from gatepost.delivery.program.command_line import FIELDS, CommandLine, UnsafeValueError
from gatepost.delivery.program.environment import BAD_RECIPIENT, BAD_SENDER
from gatepost.delivery.program.runner import NOT_DELIVERED, ExitResult
from gatepost.delivery.program.sysexits import PERMANENT, TEMPORARY, check_exit
from gatepost.delivery.registry import make_target
from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address

# Keeps a message if it was read completely: only complete files get their name.
KEEPING = 'file=$(mktemp "$1/tmp.XXXXXX") && cat > "$file" && mv "$file" "$file.whole"'
SHOWING = "import sys, os; open('seen', 'a').write(repr((sys.argv[1:], dict(os.environ))) + '\\n')"
PEOPLE = recipient("A+x@example.com", "a"), recipient("b@b\u00fccher.example")


def pipe(base, command, **options):
    route = RouteConfig(to=f"pipe:{command}", pipe=PipeConfig(**options))
    return make_target(route, base=base, hostname="mx.example.com")


def seen(base):
    """Return the arguments and the environment of each run."""
    return [eval(line) for line in (base / "seen").read_text().splitlines()]


def shown(tmp_path, arguments, what):
    deliver(pipe(tmp_path, f"{python(tmp_path, SHOWING)} {arguments}"), what)
    return [arguments for arguments, _ in seen(tmp_path)]


class TestOnceForEach(Contract):
    def target(self, base):
        program = script(base, KEEPING)
        return pipe(base, f"{program} {base} {{recipient}} -x{{sender}}", line_ends="crlf")

    def kept(self, base):
        return [path.read_bytes() for path in sorted(base.glob("*.whole"))]


class TestOnceForAll(Contract):
    one_copy = True

    def target(self, base):
        return pipe(base, f"./{script(base, KEEPING).name} '{base}'")

    def kept(self, base):
        read = (path.read_bytes() for path in sorted(base.glob("*.whole")))
        return [content.replace(b"\n", b"\r\n") for content in read]


# --- arguments and environment


def test_fields_are_replaced_in_arguments(tmp_path):
    command = "'a b' {recipient} x={local}/{user} '{domain} {sender}' \"\" --"
    assert shown(tmp_path, command, delivery(*PEOPLE)) == [
        ["a b", "A+x@example.com", "x=a/a", "example.com sender@example.net", "", "--"],
        [
            "a b",
            "b@b\u00fccher.example",
            "x=b/b",
            "xn--bcher-kva.example sender@example.net",
            "",
            "--",
        ],
    ]


def test_a_command_without_recipient_fields_runs_once(tmp_path):
    assert shown(tmp_path, "{sender}", delivery(*PEOPLE, sender=NULL_PATH)) == [[""]]


def test_files_of_a_program_are_open_to_their_owner_only(tmp_path):
    deliver(pipe(tmp_path, str(script(tmp_path, "cat > kept"))), delivery(PEOPLE[0]))
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600


def test_the_environment_has_five_variables(tmp_path):
    program = python(tmp_path, SHOWING)
    expected = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SENDER": "sender@example.net",
        "CLIENT_ADDRESS": "192.0.2.1",
        "MESSAGE_REF": "t1",
    }
    deliver(pipe(tmp_path, str(program)), delivery(*PEOPLE))
    deliver(pipe(tmp_path, f"{program} {{local}}"), delivery(PEOPLE[0]))
    several, one = (environment for _, environment in seen(tmp_path))
    several.pop("LC_CTYPE", None)
    one.pop("LC_CTYPE", None)
    assert several == expected
    assert one == expected | {"RECIPIENT": "A+x@example.com"}


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b"", b"y\r\n\r"])))
def test_line_ends_are_converted_wherever_pieces_are_cut(pieces):
    assert b"".join(with_lf(pieces)) == b"".join(pieces).replace(b"\r\n", b"\n")


def test_line_ends_are_lf_by_default(tmp_path):
    deliver(pipe(tmp_path, script(tmp_path, "cat > taken")), delivery(*PEOPLE))
    assert (tmp_path / "taken").read_bytes() == b"Subject: x\n\nHello\n"


# --- unsafe values


@pytest.mark.parametrize(
    ("arguments", "person", "reply"),
    [
        ("{recipient}", recipient("-x@example.com"), BAD_RECIPIENT),
        ("{local}", recipient("-x@example.com"), BAD_RECIPIENT),
        ("--user={local}", recipient("a/b@example.com"), BAD_RECIPIENT),
        ("{user}", recipient('"../x"@example.com'), BAD_RECIPIENT),
    ],
)
def test_a_recipient_that_a_program_could_misread_is_refused(tmp_path, arguments, person, reply):
    good = recipient("a@example.com")
    program = script(tmp_path, 'echo "$RECIPIENT" >> taken')
    failures = deliver(pipe(tmp_path, f"{program} {arguments}"), delivery(good, person))
    assert [*failures] == [person]
    assert (failures[person].reply, failures[person].permanent) == (reply, True)
    assert (tmp_path / "taken").read_text() == "a@example.com\n"


def test_a_sender_that_could_be_an_option_is_refused(tmp_path):
    what = delivery(*PEOPLE, sender=Address.parse("-x@example.com"))
    with pytest.raises(DeliveryError) as caught:
        deliver(pipe(tmp_path, "/bin/true {sender}"), what)
    assert (caught.value.reply, caught.value.permanent) == (BAD_SENDER, True)
    detail = "expected a sender that does not start with \"-\", found '-x@example.com'"
    assert caught.value.detail == detail


VALUES = st.text() | st.sampled_from(["-x", "a b", "';x", "$(x)", "a/b", "{sender}", "\0", "\n"])


@given(VALUES, VALUES)
def test_values_stay_in_their_arguments(base_path, recipient_value, sender):
    line = CommandLine("/bin/prog {recipient} -f{sender} end", base_path, FIELDS)
    values = {"recipient": recipient_value, "sender": sender}
    try:
        vector = line.arguments(values)
    except UnsafeValueError:
        assert recipient_value.startswith("-") or re.search(
            r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", recipient_value + sender
        )
    else:
        assert vector == ["/bin/prog", recipient_value, f"-f{sender}", "end"]
        assert not recipient_value.startswith("-")


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    return tmp_path_factory.mktemp("base")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("cat", "expected the path of a program such as /usr/bin/prog, found 'cat'"),
        (
            "/bin/{user}",
            "expected the path of a program such as /usr/bin/prog, found '/bin/{user}'",
        ),
        ('/bin/cat "x', "No closing quotation"),
        (
            "/bin/cat {name}",
            "expected one of {recipient}, {local}, {user}, {domain}, {tag}, {sender}, found {name}",
        ),
        (
            "/bin/cat }x",
            "stray brace in '}x': expected one of {recipient}, {local}, {user}, {domain}, {tag}, {sender}",  # noqa: E501
        ),
    ],
)
def test_invalid_commands_are_refused(tmp_path, command, error):
    with pytest.raises(ValueError) as caught:
        pipe(tmp_path, command)
    assert str(caught.value) == f"to: target 'pipe:{command}': {error}"


# --- exit statuses


def failure(status, output):
    with pytest.raises(DeliveryError) as caught:
        check_exit("prog", ExitResult(status, output))
    return caught.value


def test_status_zero_is_success():
    check_exit("x", ExitResult(0, "fine"))


@pytest.mark.parametrize("status", [*TEMPORARY, 1, 2, 79, 126, 127, 255, -9, -15])
def test_other_statuses_are_temporary(status):
    error = failure(status, "text")
    assert (error.permanent, error.reply, error.text) == (False, None, NOT_DELIVERED)
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    meant = f" ({TEMPORARY[status]})" if status in TEMPORARY else ""
    assert error.detail == f"prog: {how}{meant}: text"


@pytest.mark.parametrize("status", PERMANENT)
def test_statuses_about_the_message_are_permanent(status):
    error = failure(status, "")
    name, reply = PERMANENT[status]
    assert (error.permanent, error.reply, error.text) == (True, reply, reply.text)
    assert error.detail == f"prog: exit status {status} ({name})"
    assert str(reply).startswith("55")


def test_each_recipient_has_its_own_result(tmp_path):
    program = script(tmp_path, 'echo "$1" is "$2"; exit ${1%@*}')
    people = [recipient(f"{status}@example.com") for status in (67, 0, 75)]
    failures = deliver(pipe(tmp_path, f"{program} {{recipient}} {{local}}"), delivery(*people))
    assert [*failures] == [people[0], people[2]]
    assert failures[people[0]].reply == PERMANENT[67][1]
    assert failures[people[0]].detail == (
        f"pipe: {program}: exit status 67 (EX_NOUSER): 67@example.com is 67"
    )
    assert not failures[people[2]].permanent


def test_without_recipient_fields_a_failure_is_for_all(tmp_path):
    with pytest.raises(DeliveryError, match=r"exit status 77 \(EX_NOPERM\)$"):
        deliver(pipe(tmp_path, script(tmp_path, "exit 77")), delivery(*PEOPLE))


def test_the_time_limit_comes_from_the_route(tmp_path):
    program = script(tmp_path, "exec sleep 1000")
    with pytest.raises(DeliveryError, match=r"did not end within 0\.2 s$"):
        deliver(pipe(tmp_path, program, timeout=0.2), delivery(*PEOPLE))


def test_each_run_reads_the_message_from_its_start(tmp_path):
    """Runs follow each other, and each reads the message from its start."""
    program = script(tmp_path, 'cat > "$1"')
    with message(b"x" * 500_000, 1000) as made:
        deliver(pipe(tmp_path, f"{program} {{local}}"), delivery(*PEOPLE, of=made))
    assert [(tmp_path / name).stat().st_size for name in "ab"] == [500_000] * 2


def test_a_hanging_program_blocks_only_its_own_route(tmp_path):
    """A hanging program uses slots of its own route only."""
    slow = pipe(tmp_path, script(tmp_path, "exec sleep 1000", "slow"), concurrency=1)
    quick = pipe(tmp_path, script(tmp_path, "cat > taken", "quick"), concurrency=1)

    async def run():
        hanging = asyncio.create_task(slow.deliver(delivery(*PEOPLE)))
        await quick.deliver(delivery(*PEOPLE))
        hanging.cancel()
        await asyncio.wait([hanging])
        await slow.stop()
        await quick.stop()

    asyncio.run(run())
    assert (tmp_path / "taken").exists()
