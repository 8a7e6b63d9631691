"""Limits of connections, recipients and rates: the plugin `limit`."""

import re
from collections.abc import Mapping

from gatepost.migration.haraka.ini import Ini, read_ini
from gatepost.migration.job import Job, Used
from gatepost.migration.toml import Value

# Haraka counts per minute if a rate has no time.
_RATE = re.compile(r"([0-9]{1,9})(?:/([0-9]{0,6})([smhd]?))?")
_LIMITS = {
    "concurrency": "limits.connections_per_ip",
    "recipients": "limits.recipients",
    "errors": "limits.errors",
}
_RATES: Mapping[str, tuple[str, ...]] = {
    "rate_rcpt_host": ("address",),
    "rate_rcpt_sender": ("sender",),
    "rate_rcpt": ("recipient",),
}
_HISTORIES = ("concurrency_history", "recipients_history", "rate_conn_history")
_PAGE = "shipped/rate_limit.md"


def take(job: Job, used: Used) -> None:
    """Take the limits that are switched on."""
    ini = read_ini(job.source, "limit.ini")
    for section, path in _LIMITS.items():
        most = ini.number("max", section, 100_000)
        if ini.true(section, "enabled") and most:
            job.draft.set(path, most, ini.place)
    found = (_connections(ini), *(_rule(ini, name, by) for name, by in _RATES.items()))
    rules = [rule for rule in found if rule]
    if rules:
        job.check("rate_limit", used, {"rules": rules})
    else:
        text = f"{used.name}: no rate is limited there; [limits] has defaults"
        job.findings.different(used.place, text, "configuration.md#limits")
    for section in (*_HISTORIES, "unrecognized_commands", "rate_rcpt_null", "outbound"):
        if ini.true(section, "enabled"):
            job.findings.left(ini.place, f"{section}: no equivalent", _PAGE)


def _connections(ini: Ini) -> dict[str, Value] | None:
    rule = _rule(ini, "rate_conn", ("address",))
    return {**rule, "count": "connections"} if rule else None


def _rule(ini: Ini, section: str, by: tuple[str, ...]) -> dict[str, Value] | None:
    match = _RATE.fullmatch(ini.get("default", section=section))
    if not ini.true(section, "enabled") or match is None or int(match[1]) == 0:
        return None
    time = f"{int(match[2] or 1)}{match[3] or 's'}" if match[2] or match[3] else "60s"
    return {"name": section, "by": list(by), "rate": f"{match[1]}/{time}"}
