"""Other implementations of DKIM, each run once for many messages."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from tools import peers

FOLDER = Path(__file__).parent
SCRIPTS = {
    "dkimpy": "oracle_dkimpy.py",
    "mail-dkim": "oracle_mail_dkim.pl",
    "mailauth": "oracle_mailauth.js",
}


def ask(oracle, jobs):
    """Return the answers of an oracle to jobs; skip the test if it is not available."""
    program = peers.find(oracle)
    if program is None:
        pytest.skip(f"{oracle}: {peers.missing([oracle])[oracle]}")
    done = subprocess.run(
        program.argv(FOLDER / SCRIPTS[oracle]),
        input=json.dumps(jobs),
        env=program.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def signing(message, key, algorithm, header, body):
    """Return the job of signing a generated message; `key` is PEM, or base64 for Ed25519."""
    return {
        "op": "sign",
        "message": base64.b64encode(message.octets).decode(),
        "selector": message.selector,
        "domain": message.domain,
        "names": message.signed,
        "key": key,
        "algorithm": algorithm,
        "header": header,
        "body": body,
    }


def verifying(octets, records):
    """Return the job of verifying a message; `records` are texts by name."""
    message = base64.b64encode(octets).decode()
    return {"op": "verify", "message": message, "records": records}
