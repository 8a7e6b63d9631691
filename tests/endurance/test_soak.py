"""A short soak: the harness runs, and nothing is lost in it."""

from endurance.soak import parser, problems, soak


def test_a_few_seconds_under_attack(tmp_path):
    chosen = parser().parse_args(
        ["--seconds", "5", "--senders", "3", "--share", "0.1", "--kill-every", "2"]
    )
    outcomes, rounds, run = soak(tmp_path, chosen)
    assert problems(tmp_path, outcomes, run) == []
    assert rounds["flood"]
