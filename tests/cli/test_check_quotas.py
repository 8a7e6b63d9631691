"""`gatepost check` and `gatepost try`: quotas and folders of Maildirs."""

import json

import pytest

TO = 'to = "maildir:mail/{local}"'
FITTING = '[limits]\nmessage_size = "1MiB"'


@pytest.fixture
def checked(configure, run):
    """Return the findings for routes with these `maildir` tables; the last is for everyone."""

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
        (folder / "traps").write_text("hidden-page@example.com\n")
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
def test_sound_quotas_have_no_findings(checked, tables):
    assert checked(*tables) == []


@pytest.mark.parametrize("second", ["", 'quota = "2GiB"', 'quota = "1GiB", quota_messages = 9'])
def test_contradicting_quotas_are_a_warning(checked, second):
    assert checked('quota = "1GiB"', second) == [
        "route[1].maildir: expected the same quota as route[0], which has the same Maildirs"
    ]


def test_a_quota_below_the_message_size_is_a_warning(checked):
    assert checked('quota = "1MiB"', limits="") == [
        (
            "route[0].maildir.quota is smaller than limits.message_size: a message that fits into"
            " no mailbox is refused only after its content was received"
        )
    ]


def test_other_targets_have_no_quota(checked):
    assert checked("", to='to = "discard:"') == []


def test_a_quota_for_an_uncounted_folder_is_an_error(checked):
    (error,) = checked('folder = ".Trash", quota = "1GiB"')
    assert error.endswith("expected no quota: Maildir++ does not count .Trash")


def test_options_of_another_kind_of_target_are_an_error(checked):
    (error,) = checked('quota = "1GiB"', to='to = "discard:"')
    assert error.endswith(
        "route[0].maildir: not for discard: targets, expected no table of options"
    )


def test_a_trial_creates_no_file(checked, run, tmp_path):
    checked('folder = ".Junk", quota = "1GiB"')
    tried = run("try", "--to", "bob@example.com")
    assert tried.exit_code == 0, tried.stdout
    assert not list(tmp_path.rglob("maildirsize"))
