"""A short run of the soak loses nothing."""

from endurance.soak import parser, problems, soak


def test_a_few_seconds_under_attack_lose_nothing(tmp_path):
    chosen = parser().parse_args(
        ["--seconds", "5", "--senders", "3", "--share", "0.1", "--kill-every", "2"]
    )
    outcomes, rounds, run = soak(tmp_path, chosen)
    assert problems(tmp_path, outcomes, run) == []
    assert rounds["flood"]
