"""A trial in words, the same for `gatepost try` and the dashboard."""

from collections.abc import Iterator
from typing import Literal

from gatepost.checks.trial.result import Trial

Outcome = Literal["accepted", "deferred", "refused"]


def outcome(trial: Trial) -> Outcome:
    """Return what became of the message."""
    if trial.recipients:
        return "accepted"
    return "deferred" if trial.steps[-1].reply.startswith("4") else "refused"


def verdict(trial: Trial, count: int) -> str:
    """Return what became of the message that had `count` recipients."""
    accepted = len(trial.recipients)
    if accepted in (0, count):
        return outcome(trial)
    return f"accepted for {accepted} of {count} recipients: {', '.join(trial.recipients)}"


def first_line(reply: str) -> str:
    """Return the first line of a reply, marked if there are more."""
    first, _, more = reply.partition("\n")
    return f"{first} …" if more else first


def facts(trial: Trial) -> Iterator[str]:
    """Yield a line for each thing that plugins and traps found and did, or would have done."""
    for result in trial.results:
        yield f"result: {result}"
    yield from trial.shadowed
    yield from map(str, trial.edits)
    for edit in trial.shadowed_edits:
        yield f"would have edited: {edit}"
    for signature in trial.broken_signatures:
        yield f"warning: the edits invalidate the {signature}"
    yield from map(str, trial.changes)
    if trial.changes and trial.final:
        yield f"final recipients: {', '.join(trial.final)}"
    for recipients in trial.submitted:
        yield f"submitted a message to {', '.join(recipients)}"
    for trap in trial.traps:
        yield f"trap: {trap}"
    if trial.delay:
        yield f"delay: {trial.delay:g} s before the reply"
