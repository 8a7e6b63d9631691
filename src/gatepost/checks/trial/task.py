"""The input and the output of the process of a trial."""

import msgspec

from gatepost.checks.trial.envelope import Envelope
from gatepost.checks.trial.result import Trial
from gatepost.config.schema import Config
from gatepost.ledger.records import Record

# A server with the longest lists and its plugins needs a part of this.
MEMORY = 1024 * 1024 * 1024


class Task(msgspec.Struct, frozen=True):
    """A message to try, with a configuration or the path of its file, in `seconds` at most."""

    config: Config | str
    envelope: Envelope
    content: bytes
    seconds: float


class Answer(msgspec.Struct, frozen=True):
    """The trial with its records, or why there is none, one line for each problem."""

    trial: Trial | None = None
    records: list[Record] = []
    problem: str = ""


def too_long(seconds: float) -> str:
    """Return the problem of a trial that did not end in time."""
    return f"The trial took longer than {seconds:.0f} seconds."


encode_answer = msgspec.json.Encoder().encode
decode_answer = msgspec.json.Decoder(Answer).decode
