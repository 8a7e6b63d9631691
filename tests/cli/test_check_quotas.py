"""What `gatepost check` and `gatepost try` make of quotas and folders of Maildirs."""

import json

import pytest

TO = 'to = "maildir:mail/{local}"'
FITTING = '[limits]\nmessage_size = "1MiB"'


@pytest.fixture
def checked(configure, run):
    """Return what there is to say of routes with these tables `maildir`, the last for everyone."""

    def checked(*tables, to=TO, limits=FITTING):
        patterns = [*(f"{number}.example" for number in range(1, len(tables))), "*"]
        folder = configure(
            '[server]\nhostname = "mx.example.com"',
            limits,
            '[recipients]\ndomains = ["example.com"]\nknown = ["bob@example.com"]',
            '[traps]\nlists = ["traps"]',
            *(
                f'[[route]]\nfor = ["{pattern}"]\n{to}\nmaildir = {{ {table} }}'
                for pattern, table in zip(patterns, tables, strict=True)
            ),
        )
        (folder / "traps").write_text("trap@example.com\n")
        found = json.loads(run("check", "--json").stdout)
        return found["errors"] + found["warnings"]

    return checked


@pytest.mark.parametrize(
    "tables",
    [
        [""],
        ['quota = "1MiB"'],
        ["quota_messages = 1"],
        ['folder = ".Junk"', ""],
        ['folder = ".Junk", quota = "1GiB"', 'quota = "1GiB"'],
        ['folder = ".Trash"'],
    ],
)
def test_nothing_wrong(checked, tables):
    assert checked(*tables) == []


@pytest.mark.parametrize("second", ["", 'quota = "2GiB"', 'quota = "1GiB", quota_messages = 9'])
def test_quotas_that_contradict_each_other(checked, second):
    assert checked('quota = "1GiB"', second) == [
        "route[1].maildir: expected the quota that route[0] has for the same Maildirs"
    ]


def test_a_quota_that_no_large_message_fits_into(checked):
    assert checked('quota = "1MiB"', limits="") == [
        (
            "route[0].maildir.quota is below limits.message_size: what fits into no mailbox is"
            " refused only when it has come in"
        )
    ]


def test_other_targets_have_none(checked):
    assert checked("", to='to = "discard:"') == []


def test_a_quota_for_what_does_not_count(checked):
    (error,) = checked('folder = ".Trash", quota = "1GiB"')
    assert error.endswith("expected no quota: Maildir++ does not count .Trash")


def test_options_of_another_kind_of_target(checked):
    (error,) = checked('quota = "1GiB"', to='to = "discard:"')
    assert error.endswith(
        "route[0].maildir: not for discard: targets, expected no table of options"
    )


def test_a_trial_makes_nothing(checked, run, tmp_path):
    checked('folder = ".Junk", quota = "1GiB"')
    tried = run("try", "--to", "bob@example.com")
    assert tried.exit_code == 0, tried.stdout
    assert not list(tmp_path.rglob("maildirsize"))
