"""`gatepost authcheck`: the command, its options, its exit status."""

import json
import subprocess
import sys

import pytest
from tests.cli.test_terminal import COLOUR, on_terminal

ZONE = {
    "example.net": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject; pct=50; rua=mailto:d@example.com"}],
}
MESSAGE = "From: News <n@mail.example.com>\nSubject: \x1b[2J\n\nbody\n"
CLIENT = ["--ip", "192.0.2.1", "--helo", "h.example", "--from", "<bounce@example.net>"]
WITH_ZONE = ["message.eml", "--zone", "zone.json"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "message.eml").write_text(MESSAGE)
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_message_is_explained(run, files):
    result = run("authcheck", *WITH_ZONE, *CLIENT)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "DMARC fails, and example.com requests to reject the message."
    assert "SPF          pass: ip4:192.0.2.1 of example.net" in lines
    assert "             in the record: pct has no effect: RFC 9989 has removed it" in lines
    assert "             TXT _dmarc.mail.example.com" in lines
    assert max(map(len, lines)) <= 80


def test_the_results_as_json(run, files):
    result = run("authcheck", *WITH_ZONE, *CLIENT, "--json")
    found = json.loads(result.stdout)
    assert found["dmarc"] == {
        "result": "fail",
        "policy": "reject",
        "organizational_domain": "example.com",
    }
    assert [one["name"] for one in found["lookups"]] == [
        "example.net",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    ]
    assert found["lookups"][-1]["status"] == "absent"


def test_without_an_address_spf_is_not_checked(run, files):
    result = run("authcheck", *WITH_ZONE)
    assert "SPF          none: not checked: the address of the client is not known" in result.stdout
    assert "What to do   Give --ip" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["missing.eml"], 1, "missing.eml: No such file or directory"),
        (["message.eml", "--zone", "none.json"], 1, "--zone: none.json: No such file or directory"),
        (["message.eml", "--ip", "x"], 2, "--ip: expected an IP address, found 'x'"),
        (["-", "--ip", "192.0.2.1"], 2, "--ip, --helo and --from: with - as FILE, each case has"),
    ],
)
def test_a_problem_is_one_line(run, files, arguments, status, problem):
    result = run("authcheck", "--zone", "zone.json", *arguments)
    assert result.exit_code == status
    assert result.stderr.startswith(f"gatepost: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "Input data was truncated"),
        ("[]", "expected names with lists of records, found []"),
        ('{"a": [{"A": "x"}]}', "'a', record 1: expected an IPv4 address, found 'x'"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_malformed_zone_is_an_error(run, files, text, problem):
    (files / "zone.json").write_text(text)
    result = run("authcheck", *WITH_ZONE)
    assert result.exit_code == 1
    assert result.stderr.startswith("gatepost: --zone: zone.json: ")
    assert problem in result.stderr


def test_a_header_block_that_is_too_long_is_an_error(run, files):
    (files / "message.eml").write_bytes(b"X: y\r\n" * 200_000)
    result = run("authcheck", *WITH_ZONE)
    assert result.exit_code == 1
    assert "message.eml: expected a header block of at most 1048576 octets" in result.stderr


def test_the_name_servers_of_the_configuration_are_asked(run, configure):
    folder = configure("[dns]", 'servers = ["127.0.0.1:1"]', 'timeout = "100ms"')
    (folder / "message.eml").write_text(MESSAGE)
    result = run("authcheck", "message.eml")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert text.startswith("DMARC could not be evaluated: the policy is not known: ")
    assert "- no answer, " in text


def cases(run, *given, options=("--zone", "zone.json")):
    text = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in given)
    result = run("authcheck", "-", *options, text=text)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def test_each_case_has_a_result(run, files):
    one = {"id": "a", "ip": "192.0.2.1", "mail_from": "x@example.net", "message": "message.eml"}
    status, [found] = cases(run, one)
    assert status == 0
    assert found == {
        "id": "a",
        "spf": {"result": "pass", "reason": "ip4:192.0.2.1 of example.net"},
        "dkim": [],
        "arc": {"result": "none"},
        "dmarc": {"result": "fail", "policy": "reject", "organizational_domain": "example.com"},
    }


def test_a_wrong_case_does_not_end_the_others(run, files):
    wrong = [
        "nonsense",
        "[]",
        '{"ip": "192.0.2.1"}',
        {"id": 1, "ip": "x"},
        {"id": 2, "ip": 3},
        {"id": 3, "zone": {"a": "b"}},
        {"id": 4, "message": "none.eml"},
        {"id": 5, "message": "\0"},
        {"id": 6, "message": "."},
        '{"id": 7, "zone": ' + "[" * 100_000,
    ]
    status, found = cases(run, *wrong, "", {"id": "good", "zone": {}})
    assert status == 1
    assert len(found) == len(wrong) + 1
    assert [set(one) for one in found[:-1]] == [{"id", "error"}] * len(wrong)
    assert [one["id"] for one in found] == [None, None, None, 1, 2, 3, 4, 5, 6, None, "good"]
    assert found[-1]["dmarc"]["result"] == "none"


def test_a_zone_of_a_case_comes_before_that_of_the_option(run, files):
    message = {"message": "message.eml"}
    _, found = cases(run, {"id": 1, **message}, {"id": 2, **message, "zone": {}})
    assert [one["dmarc"]["result"] for one in found] == ["fail", "none"]


def test_a_long_line_is_an_error(run, files, monkeypatch):
    monkeypatch.setattr("gatepost.checks.authcheck.bulk.MAX_LINE", 100)
    status, found = cases(run, {"id": 1, "helo": "h" * 1000}, {"id": 2})
    assert status == 1
    assert found[0] == {"id": None, "error": "expected a line of at most 100 octets"}
    assert found[1]["id"] == 2
    assert len(found) == 2


def test_results_are_written_for_each_line(files):
    command = [sys.executable, "-m", "gatepost", "authcheck", "-", "--zone", "zone.json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b'{"id": 1}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.stdin.close()
        assert process.wait() == 0


def test_no_line_is_longer_than_the_terminal(files):
    text = on_terminal("authcheck", *WITH_ZONE, *CLIENT)
    assert COLOUR.search(text)
    lines = COLOUR.sub("", text).splitlines()
    assert all(line.isprintable() and len(line) <= 80 for line in lines)
    assert on_terminal("authcheck", *WITH_ZONE, *CLIENT, "--no-color").splitlines() == lines
