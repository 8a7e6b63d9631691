"""OpenDKIM without a milter: it reads messages from files (`opendkim -t`)."""

import subprocess

import pytest
from tools import peers


@pytest.fixture
def opendkim(tmp_path):
    """A function that runs it on messages by number; it returns its output."""
    program = peers.find("opendkim")
    if program is None:
        pytest.skip(f"opendkim: {peers.missing(['opendkim'])['opendkim']}")

    def run(configuration, messages):
        (tmp_path / "opendkim.conf").write_text(configuration)
        for number, octets in messages.items():
            (tmp_path / str(number)).write_bytes(octets)
        output = ""
        names = list(map(str, messages))
        for at in range(0, len(names), 100):
            argv = program.argv("-x", "opendkim.conf", "-vv", "-t", ",".join(names[at : at + 100]))
            options = {"cwd": tmp_path, "env": program.env, "capture_output": True, "timeout": 60}
            done = subprocess.run(argv, check=False, text=True, errors="replace", **options)
            assert done.returncode == 0, done.stderr
            output += done.stdout
        return output

    return run
