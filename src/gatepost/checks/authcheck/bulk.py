"""Many cases as JSON lines: one result for each line.

A case has `id`, and may have `ip`, `helo`, `mail_from`, `zone` (name -> list of {TYPE: value} or
"TIMEOUT", see `gatepost.mailauth.zone`) and `message`, the path of a file. A result has `id`,
`spf`, `dkim`, `arc` and `dmarc`, or `id` and `error`.

Security: lines, zones and messages are untrusted. A wrong case is a result with an error.

Limits: MAX_LINE octets of a line; one case is in memory at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gatepost.checks.authcheck.answers import Answering, from_zone
from gatepost.checks.authcheck.evaluation import Envelope, Evaluation, evaluate_all
from gatepost.checks.authcheck.message import read_message
from gatepost.log.os_error import describe_os_error
from gatepost.mailauth.zone import Zone

MAX_LINE = 16 * 1024 * 1024

_Id = str | int | float | None


class Case(msgspec.Struct, frozen=True):
    """One line; what is not given is not checked."""

    id: _Id
    ip: str | None = None
    helo: str | None = None
    mail_from: str | None = None
    zone: Any = None
    message: str | None = None


_DECODER = msgspec.json.Decoder(Case)
_ANY = msgspec.json.Decoder()


def results(file: BinaryIO, answering: Answering, now: float) -> Iterator[dict[str, Any]]:
    """Yield the result of each line; `answering` is for cases without a zone, at a Unix time."""
    for line in _lines(file):
        if not line.strip():
            continue
        try:
            yield _result(line, answering, now)
        except OSError as error:
            yield {"id": _id_of(line), "error": describe_os_error(error)}
        except (ValueError, RecursionError) as error:
            yield {"id": _id_of(line), "error": str(error)}


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; of one that is too long, only the start."""
    while line := file.readline(MAX_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_LINE:
            rest = file.readline(MAX_LINE + 1)
        yield line


def _result(line: bytes, answering: Answering, now: float) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise ValueError(f"expected a line of at most {MAX_LINE} octets")
    case = _DECODER.decode(line)
    run = answering if case.zone is None else from_zone(Zone(case.zone))
    ip = str(ip_address(case.ip)) if case.ip else ""
    envelope = Envelope(ip, case.helo or "", without_brackets(case.mail_from or ""))
    message = None
    if case.message is not None:
        with Path(case.message).open("rb") as file:
            message = read_message(file)
    return {"id": case.id, **as_data(run(evaluate_all(envelope, message, now)))}


def _id_of(line: bytes) -> _Id:
    """Return the id of a line whose case is wrong, None if it cannot be read."""
    if len(line) > MAX_LINE:
        return None
    try:
        found = _ANY.decode(line)
    except (ValueError, RecursionError):
        return None
    known = found.get("id") if isinstance(found, Mapping) else None
    return known if isinstance(known, str | int | float) else None


def as_data(found: Evaluation) -> dict[str, Any]:
    """Return the results for JSON."""
    dmarc = found.dmarc
    return {
        "spf": {"result": found.spf.result, "reason": found.spf.reason},
        "dkim": _signatures(found),
        "arc": {"result": found.arc.result},
        "dmarc": {
            "result": dmarc.result,
            "policy": dmarc.policy,
            "organizational_domain": dmarc.organizational_domain or None,
        },
    }


def _signatures(found: Evaluation) -> Sequence[Mapping[str, str]]:
    return [
        {
            "domain": one.domain,
            "selector": one.selector,
            "result": one.result,
            "reason": one.reason,
        }
        for one in found.dkim
    ]


def without_brackets(path: str) -> str:
    """Return a reverse-path without its angle brackets."""
    return path[1:-1] if path[:1] == "<" and path[-1:] == ">" else path
