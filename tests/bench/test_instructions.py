"""The counts of callgrind, as they are read from its dumps."""

import os

import pytest
from bench.instructions import counted
from bench.process import BenchError


def test_the_newest_dump_of_a_process_counts(tmp_path):
    for name, total, time in [("7.1", 100, 1), ("7.2", 250, 2), ("8.1", 900, 3)]:
        file = tmp_path / f"callgrind.{name}"
        file.write_text(f"events: Ir\nfn=(1) main\n1 {total}\n\ntotals: {total}\n")
        os.utime(file, (time, time))
    assert counted(tmp_path, 7) == 250


def test_a_process_without_a_dump_is_an_error(tmp_path):
    with pytest.raises(BenchError, match="no dump of process 7"):
        counted(tmp_path, 7)
