"""`gatepost check`: is everything as it should be, and what is in force."""

from pathlib import Path

import click
import msgspec

from gatepost.checks.report import Report, examine
from gatepost.cli.shared.output import print_error, print_json, print_line, print_table
from gatepost.cli.shared.settings import config_option, json_option
from gatepost.log.setup import configure_command_log


@click.command(epilog="Example: gatepost check && systemctl restart gatepost")
@config_option
@json_option
def command(file: Path, *, as_json: bool) -> int:
    """Validate the configuration, every list and every plugin, without serving.

    Shows the order of hooks and the limits in force, and warns of what looks wrong. Exit status 1
    if there is an error; warnings are none.
    """
    configure_command_log()
    report = examine(file)
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        _show(file, report)
    for error in report.errors:
        print_error(error)
    return 1 if report.errors else 0


def _show(file: Path, report: Report) -> None:
    if report.listen:
        print_line(f"Listens on {', '.join(report.listen)}")
        _section("Lists", ("entries", "file"), [[str(n.entries), n.path] for n in report.lists])
        hooks = [[one.hook, one.stage, ", ".join(one.plugins)] for one in report.hooks]
        _section("Hooks", ("hook", "stage", "plugins"), hooks)
        limits = [[one.name, one.value, one.why] for one in report.limits]
        _section("Limits", ("limit", "value", "why"), limits)
        print_line()
    for warning in report.warnings:
        print_line(f"warning: {warning}")
    if not report.errors:
        print_line(f"{file}: no errors, warnings: {len(report.warnings)}")


def _section(title: str, headers: tuple[str, ...], rows: list[list[str]]) -> None:
    print_line()
    print_line(title if rows else f"{title}: none")
    if rows:
        print_table(headers, rows)
