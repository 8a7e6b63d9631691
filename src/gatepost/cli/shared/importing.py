"""The end of an import: the new folder, the report, and the check of the configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from gatepost.checks.report import Report, make_report
from gatepost.checks.scratch import progress
from gatepost.cli.shared.output import (
    Failure,
    print_error,
    print_json,
    print_line,
    print_table,
)
from gatepost.log.os_error import describe_os_error
from gatepost.log.printable import printable
from gatepost.log.setup import configure_command_log
from gatepost.migration import folder as new_folder
from gatepost.migration.findings import Finding, Kind
from gatepost.migration.job import Job
from gatepost.migration.where import NoConfigError

NEXT_STEPS = """\
Next:

  cd {folder}
  gatepost try --to ADDRESS  # shows what becomes of a message
  gatepost serve"""


@contextmanager
def problems() -> Iterator[None]:
    """Turn errors of the folders into failures of the command."""
    try:
        yield
    except (NoConfigError, new_folder.TakenError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error


def finish(job: Job, origin: str, out: Path, *, dry_run: bool, as_json: bool) -> int:
    """Write the folder and print the report; return the exit status."""
    with problems():
        new_folder.check_free(out)
        with progress(_lists(job)):
            if dry_run:
                new_folder.rehearse(job.draft)
            else:
                new_folder.write(
                    job.draft, out, f"Made by `gatepost import` from {printable(origin)}"
                )
    checked = Report()
    if not dry_run:
        configure_command_log()
        checked = make_report(out / new_folder.CONFIG)
    if as_json:
        print_json(_as_data(job, checked, out, dry_run=dry_run))
    else:
        _print_text(job, checked, out, dry_run=dry_run)
    for error in checked.errors:
        print_error(error)
    return 1 if checked.errors else 0


def _lists(job: Job) -> list[Path]:
    found = (job.source.find(one.source) for one in job.draft.lists)
    return [path for path in found if path is not None]


def _as_data(job: Job, checked: Report, out: Path, *, dry_run: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"folder": None if dry_run else str(out)}
    for kind in Kind:
        data[kind.name.lower()] = [_finding_as_data(one) for one in job.findings.of(kind)]
    if dry_run:
        data["configuration"] = job.draft.text()
    return data | {"errors": checked.errors, "warnings": checked.warnings}


def _finding_as_data(one: Finding) -> dict[str, str]:
    return {name: value for name, value in msgspec.structs.asdict(one).items() if name != "kind"}


def _print_text(job: Job, checked: Report, out: Path, *, dry_run: bool) -> None:
    for kind in Kind:
        rows = [(one.place, one.text, one.page) for one in job.findings.of(kind)]
        print_line(kind.value.capitalize() if rows else f"{kind.value.capitalize()}: nothing")
        if rows:
            print_table(("file", "what", "documentation"), rows)
        print_line()
    if dry_run:
        for line in job.draft.text().splitlines():
            print_line(line)
        return
    for warning in checked.warnings:
        print_line(f"warning: {warning}")
    if not checked.errors:
        print_line(f"{out}: no errors, warnings: {len(checked.warnings)}")
        for line in NEXT_STEPS.format(folder=out).splitlines():
            print_line(line)
