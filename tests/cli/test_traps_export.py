"""`gatepost traps export`: only what the other program treats in the same way."""

import re

import pytest


@pytest.fixture
def exported(run, configure):
    """Return the lines and the problems of an export of these traps."""

    def exported(traps, *lines, recipients='domains = ["example.com"]'):
        folder = configure('[traps]\nlists = ["traps"]', *lines, f"[recipients]\n{recipients}")
        (folder / "traps").write_text("".join(f"{one}\n" for one in traps))
        result = run("traps", "export", "--format", "rspamd")
        return result.stdout.splitlines(), result.stderr

    return exported


def test_an_address_is_an_expression_with_any_subaddress(exported):
    (line,), problems = exported(["a.b@example.com"])
    assert line == r"/^a\.b([\+][^@]*)?@example\.com$/i"
    assert problems == ""
    pattern = re.compile(line[1:-2], re.IGNORECASE)
    assert pattern.search("A.B+x@EXAMPLE.com")
    assert not pattern.search("axb@example.com")


def test_without_subaddresses_the_address_is_alone(exported):
    recipients = 'domains = ["example.com"]\nsubaddress = ""'
    assert exported(["a@example.com"], recipients=recipients)[0] == [r"/^a@example\.com$/i"]


def test_a_domain_has_every_address_but_roles(exported):
    (line,), _ = exported(["@example.com"])
    pattern = re.compile(line[1:-2], re.IGNORECASE)
    assert pattern.search("any@example.com")
    assert not pattern.search("postmaster@example.com")
    assert not pattern.search("abuse+x@example.com")
    assert not pattern.search("any@sub.example.com")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("zq-17-lx@example.com class=recycled", "its class is recycled"),
        ("zq-17-lx@example.com class=learned", "its class is learned"),
        ("a@example.com state=shadow", "its state is shadow"),
        ("a@example.com state=retired", "retired"),
        ("a@example.com expires=2020-01-01", "expired"),
        ("a@example.com exempt=partner.example", "it has exempt senders"),
        ("info@example.com class=seeded", "it is guessable"),
        ("/^a-[0-9]+@/", "it is a pattern"),
        ("abuse@example.com", "a role address (RFC 2142)"),
        ("user@example.com", "a known recipient"),
        ("@example.com", "a known recipient is in the domain"),
    ],
)
def test_other_traps_are_left_out_with_the_reason(exported, entry, reason):
    recipients = 'domains = ["example.com"]\nknown = ["user@example.com"]'
    lines, problems = exported([entry], recipients=recipients)
    assert lines == []
    assert problems.endswith(f"{entry.split()[0]} is not exported: {reason}\n")


def test_a_class_that_refuses_messages_is_exported(exported):
    assert (
        len(
            exported(
                ["zq-17-lx@example.com class=seeded", "info@example.com class=seeded spoil=yes"]
            )[0]
        )
        == 2
    )


def test_nothing_is_exported_in_shadow_mode(exported):
    lines, problems = exported(["a@example.com"], 'action = "shadow"')
    assert lines == []
    assert problems == "gatepost: traps.action is shadow: nothing is refused for a trap\n"
