"""`gatepost check`: errors, warnings and a summary, or all lists, hooks and limits in force."""

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from gatepost.checks.report import Report, make_report
from gatepost.cli.shared.output import print_error, print_json, print_line, print_table
from gatepost.cli.shared.settings import config_option, json_option
from gatepost.config.schema import Config
from gatepost.log.setup import configure_command_log
from gatepost.traps.verdicts import Standing


@click.command(epilog="Example: gatepost check && systemctl restart gatepost")
@config_option
@json_option
@click.option(
    "--limits", "in_full", is_flag=True, help="Print lists, the order of hooks, and all limits too."
)
@click.option(
    "--start",
    is_flag=True,
    help="Start and stop the plugins too, with all effects of that; the store is in memory.",
)
@click.option(
    "--postfix",
    "main_cf",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder of Postfix's main.cf, for a milter or policy listener.",
)
def command(file: Path, *, as_json: bool, in_full: bool, start: bool, main_cf: Path | None) -> int:
    """Check the configuration, every list and every plugin. Nothing is changed.

    Without --start nothing is started. If Postfix is to ask this server, its settings are read with
    `postconf` and compared with the listeners.

    Prints a summary, and warns of settings that are probably mistakes. The exit status is 1 if
    there is an error; warnings do not change it.
    """
    configure_command_log()
    report = make_report(file, _access, start=start, main_cf=main_cf)
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        _print_report(file, report, in_full=in_full)
    for error in report.errors:
        print_error(error)
    return 1 if report.errors else 0


def _access(config: Config) -> Iterable[str]:
    """Return the warnings about users and tokens, if there is a dashboard."""
    if not config.web.listen:
        return ()
    from gatepost.web.access import warnings  # noqa: PLC0415 - loads the parts for HTTP

    return warnings.access_warnings(config)


def _print_report(file: Path, report: Report, *, in_full: bool) -> None:
    for line in report.summary:
        print_line(f"{line.name:16}  {line.value}")
    if in_full and report.listen:
        _print_details(report)
    if report.summary or in_full:
        print_line()
    for warning in report.warnings:
        print_line(f"warning: {warning}")
    if not report.errors:
        print_line(f"{file}: no errors, warnings: {len(report.warnings)}")


def _print_details(report: Report) -> None:
    lists = [[str(one.entries), one.path] for one in report.lists]
    _print_section("Lists", ("entries", "file"), lists)
    hooks = [[one.hook, one.stage, ", ".join(one.plugins)] for one in report.hooks]
    _print_section("Hooks", ("hook", "stage", "plugins"), hooks)
    _print_section("Traps", ("class", *(one.value for one in Standing)), report.traps)
    limits = [[one.name, one.value, one.why] for one in report.limits]
    _print_section("Limits", ("limit", "value", "reason"), limits)


def _print_section(title: str, headers: tuple[str, ...], rows: list[list[str]]) -> None:
    print_line()
    print_line(title if rows else f"{title}: none")
    if rows:
        print_table(headers, rows)
