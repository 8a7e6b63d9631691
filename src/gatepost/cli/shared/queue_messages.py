"""`gatepost queue learn` and `gatepost queue forward`: commands about whole messages."""

from collections.abc import Mapping

from gatepost.checks.forwarding import forwarded
from gatepost.checks.learning import Learned, learn_all, stored
from gatepost.checks.scratch import scratch
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line
from gatepost.cli.shared.queue_changes import Chosen, apply_changes, change, fail_if_none, possible
from gatepost.cli.shared.queue_options import spool_errors
from gatepost.config.schema import Config
from gatepost.delivery.registry import RouteConfigError
from gatepost.model.address import AddressError
from gatepost.plugin.methods import Lesson
from gatepost.queue.spool import admin, changes
from gatepost.session.assemble import SetupError


def forward(one: Chosen, address: str, *, keep: bool) -> None:
    """Send a copy of each message to an address; the running server does it."""
    copied = _recipient(one.config, address)
    what = changes.COPY if keep else changes.MOVE_AWAY
    change(one, what, f"will be sent to {address}", copied)


def _recipient(config: Config, address: str) -> str:
    """Return the facts of a recipient in JSON; raises `WrongUsage` and `Failure`."""
    try:
        return forwarded(config, address)
    except AddressError as error:
        raise WrongUsage(f"{address}: {error}") from error
    except RouteConfigError as error:
        raise Failure(*error.problems) from error
    except ValueError as error:
        raise Failure(str(error)) from error


def learn(one: Chosen, kind: Lesson) -> None:
    """Let the plugins learn each message, and print the results; fails if one has not learned."""
    names: dict[str, list[str]] = {}
    for entry in possible(one, changes.LEARN):
        names.setdefault(entry.name, []).append(entry.recipient)
    fail_if_none(one, len(names))
    results = _results(one, names, kind)
    for name in names:
        learned = [found.plugin for found in results if found.message == name and not found.problem]
        if learned:
            apply_changes(
                one, admin.Selection([name]), changes.LEARN, f"as {kind} by {', '.join(learned)}"
            )
    _print(one, results, kind)


def _results(one: Chosen, names: Mapping[str, list[str]], kind: Lesson) -> list[Learned]:
    try:
        with scratch(one.config) as usable, spool_errors():
            messages = (
                message
                for name, recipients in names.items()
                for message in stored(one.folder, name, recipients)
            )
            results = learn_all(usable, messages, kind)
    except SetupError as error:
        raise Failure(*error.problems) from error
    if names and not results:
        raise Failure("no plugin of this configuration learns: rspamd and spamassassin do")
    return results


def _print(one: Chosen, results: list[Learned], kind: Lesson) -> None:
    failed = [found for found in results if found.problem]
    if one.as_json:
        print_json([found._asdict() for found in results])
    else:
        for found in results:
            if not found.problem:
                print_line(f"{found.message}: learned as {kind} by {found.plugin}")
    if failed:
        raise Failure(*(f"{found.message}: {found.plugin}: {found.problem}" for found in failed))
