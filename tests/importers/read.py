"""Helpers: lines in, transactions out, as a reader of a file passes them."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.importers.entry import YearGuess, parse_line

LATEST = 1_600_000_000.0  # September 2020
LOGS = Path(__file__).parent / "logs"


def sample(name):
    """Return the lines of a file in `logs`."""
    return (LOGS / f"{name}.log").read_text("utf-8")


def entries(text, latest=LATEST):
    years = YearGuess(latest)
    return [parse_line(line, years) for line in text.strip("\n").split("\n")]


def read(importer, text):
    """Return the transactions of lines; every line must have a time."""
    found = []
    for entry in entries(text):
        assert entry is not None
        importer.feed(entry)
        found += importer.take()
    importer.finish()
    return found + importer.take()


def recipients(transaction):
    return {one.address: one.status.value for one in transaction.recipients.values()}


def survives(make, text):
    """Return a test: no order, cut or mixture of lines raises, or opens more than allowed."""
    lines = text.strip("\n").split("\n")
    piece = st.one_of(
        st.sampled_from(lines),
        st.builds(lambda line, at: line[:at], st.sampled_from(lines), st.integers(0, 300)),
        st.builds(
            lambda line, at, new: line[:at] + new + line[at:],
            st.sampled_from(lines),
            st.integers(0, 300),
            st.text(max_size=20),
        ),
        st.text(max_size=100),
    )

    @settings(max_examples=150, deadline=None)
    @given(st.lists(piece, max_size=60))
    def test(found):
        importer, years = make(3), YearGuess(LATEST)
        for line in found:
            entry = parse_line(line, years)
            if entry is not None:
                importer.feed(entry)
        importer.finish()
        for one in importer.take():
            assert one.ended >= 0
            assert all(key == value.address.lower() for key, value in one.recipients.items())

    return test


def dull(make, prefix, pieces):
    """Run lines made of a repeated piece: their time must not explode."""
    importer = make()
    for piece in pieces:
        text = prefix + (piece * 40_000)[:32_000]
        entry = parse_line(text, YearGuess(LATEST))
        assert entry is not None
        importer.feed(entry)
    importer.finish()
