"""The modules that commands import, in new interpreters."""

import subprocess
import sys

import pytest


def imported(code):
    """Return the names of the modules that are imported after some code."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_worker_imports_nothing_that_serving_does_not_need():
    lines = [f"import_fast('gatepost.{name}')" for name in ("cli.serve", "process.worker_main")]
    names = imported("\n".join(["from gatepost._imports import import_fast", *lines]))
    rare = {"rich", "importlib.metadata", "re2", "tempfile", "shutil", "difflib", "email.message"}
    own = {"queue.queue", "queue.dsn.report", "ledger.store.reader", "metrics.counting"}
    assert not names & (rare | {f"gatepost.{name}" for name in own})


def test_the_table_of_commands_imports_no_command():
    names = imported("import gatepost.cli")
    assert not names & {"asyncio", "structlog", "rich", "msgspec", "difflib"}


@pytest.mark.parametrize("before", ["", "import rich\n", "import structlog\n"])
def test_rich_can_be_imported_afterwards(before):
    code = f"{before}from gatepost._imports import import_fast\nimport_fast('gatepost.cli.status')"
    assert "rich.table" in imported(f"{code}\nimport rich.table")


def test_collections_are_enabled_afterwards_if_they_were_before():
    code = (
        "import gc\nfrom gatepost._imports import import_fast\nimport_fast('gatepost.cli.status')"
    )
    assert imported(f"{code}\nassert gc.isenabled()")
    assert imported(f"import gc\ngc.disable()\n{code}\nassert not gc.isenabled()")
