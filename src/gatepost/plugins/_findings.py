"""The common parts of plugins that examine messages: findings, their result, the decision."""

from collections.abc import Sequence

from gatepost import Decision, Plugin, Transaction
from gatepost.plugins._client import Finding, decide, points


def conclude(
    plugin: Plugin, tx: Transaction, result: str, findings: Sequence[Finding], detail: str = ""
) -> Decision | None:
    """Add the result of a message, count its findings and return the decision about them.

    The value of the result is the first finding, or "pass". Its facts are `findings`, all of them,
    and the `detail`. The options of the plugin have the reactions.
    """
    count(plugin, findings)
    add_result(plugin, tx, result, findings, detail)
    return decide(findings, plugin.options)


def count(plugin: Plugin, findings: Sequence[Finding]) -> None:
    """Count findings by their words."""
    for one in findings:
        plugin.metrics.counter("found", finding=one.value).inc()


def add_result(
    plugin: Plugin, tx: Transaction, result: str, findings: Sequence[Finding], detail: str = ""
) -> None:
    """Add the result of a message, instead of an earlier one of the same name."""
    value = findings[0].value if findings else "pass"
    names = " ".join(one.value for one in findings)
    score = points(findings, plugin.options)
    tx.results.replace(result, value, findings=names, detail=detail, score=score)
