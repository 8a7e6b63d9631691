"""`gatepost filter`: the program that OpenSMTPD starts."""

import subprocess

import pytest
from tests.e2e.server import GATEPOST

from gatepost.process.filter import DEFER
from gatepost.wire.opensmtpd import REGISTRATION

LINES = "config|ready\nfilter|0.6|1|smtp-in|helo|s|t|client.example\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], f"disconnect|{DEFER}"), (["--unavailable", "accept"], "proceed")],
)
def test_it_answers_on_standard_output_until_the_input_ends(tmp_path, options, expected):
    done = subprocess.run(
        [GATEPOST, "filter", *options, f"unix:{tmp_path}/missing"],
        input=LINES,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == f"{REGISTRATION}filter-result|s|t|{expected}\n"
    assert done.stderr.startswith("gatepost: policy service is not available: ")


@pytest.mark.parametrize("address", ["nowhere", "fd:3"])
def test_the_address_must_be_one_to_connect_to(run, address):
    result = run("filter", address)
    assert result.exit_code == 2
    assert "expected an" in result.stderr


def test_a_terminal_is_no_input(run, monkeypatch):
    monkeypatch.setattr("gatepost.cli.filter.is_terminal", lambda: True)
    result = run("filter", "127.0.0.1:1")
    assert result.exit_code == 1
    assert "expected the lines of OpenSMTPD" in result.stderr
