"""A listener passes the scanners that auditors and block lists use."""

import json
import shutil
import subprocess

import pytest
from tests.e2e.clients import run
from tests.e2e.conftest import serving
from tests.e2e.server import CERTIFICATE
from tests.net import authority

MODES = ("starttls", "implicit")
OLD = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
NEW = ("tls_1_2", "tls_1_3")
WEAK = ("RC4", "3DES", "DES_", "NULL", "EXPORT", "MD5", "anon", "TLS_RSA_")
SCANS = (
    "sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3",
    "compression", "fallback", "heartbleed", "openssl_ccs", "reneg", "robot",
)  # fmt: skip
NO_RELAY = "Server doesn't seem to be an open relay, all tests failed"


@pytest.fixture(scope="module", params=MODES)
def server(tmp_path_factory, request):
    with serving(tmp_path_factory.mktemp("server"), tls=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def scanned(server):
    """The findings of sslyze."""
    file = server.folder / "sslyze.json"
    starttls = ["--starttls=smtp"] if server.tls == "starttls" else []
    target = f"localhost:{server.port}"
    scans = (f"--{scan}" for scan in SCANS)
    options = [f"--json_out={file}", "--quiet", "--mozilla_config=disable", *scans]
    outcome = run("sslyze", *options, *starttls, target)
    assert outcome.sent, outcome.output
    (found,) = json.loads(file.read_text())["server_scan_results"]
    assert found["scan_status"] == "COMPLETED", found["connectivity_error_trace"]
    return {name: scan["result"] for name, scan in found["scan_result"].items() if scan["result"]}


def accepted(scanned, version):
    suites = scanned[f"{version}_cipher_suites"]["accepted_cipher_suites"]
    return [suite["cipher_suite"]["name"] for suite in suites]


@pytest.mark.parametrize("version", OLD)
def test_old_tls_versions_are_not_accepted(scanned, version):
    assert accepted(scanned, version) == []


@pytest.mark.parametrize("version", NEW)
def test_cipher_suites_are_strong_with_forward_secrecy(scanned, version):
    suites = accepted(scanned, version)
    assert suites
    assert not [suite for suite in suites if any(weak in suite for weak in WEAK)]
    assert version == "tls_1_3" or all(suite.startswith("TLS_ECDHE_") for suite in suites)


@pytest.mark.parametrize(
    ("scan", "found"),
    [
        ("tls_compression", {"supports_compression": False}),
        ("tls_fallback_scsv", {"supports_fallback_scsv": True}),
        ("heartbleed", {"is_vulnerable_to_heartbleed": False}),
        ("openssl_ccs_injection", {"is_vulnerable_to_ccs_injection": False}),
        ("robot", {"robot_result": "NOT_VULNERABLE_RSA_NOT_SUPPORTED"}),
        (
            "session_renegotiation",
            {
                "supports_secure_renegotiation": True,
                "is_vulnerable_to_client_renegotiation_dos": False,
                "client_renegotiations_success_count": 0,
            },
        ),
    ],
)
def test_nothing_of_what_has_broken_tls(scanned, scan, found):
    assert scanned[scan] == found


def nmap(port, *scripts):
    """Run scripts of nmap on one port, with any number."""
    asked = ",".join(f"+{script}" for script in scripts)
    options = ["-Pn", "-n", "-sT", "-p", str(port), "--script", asked]
    outcome = run("nmap", *options, "127.0.0.1")
    assert outcome.sent, outcome.output
    return outcome.output


def test_nmap_finds_no_open_relay(tmp_path):
    with serving(tmp_path, tls="starttls") as server:
        output = nmap(server.port, "smtp-open-relay", "smtp-commands")
    assert NO_RELAY in output
    assert "STARTTLS" in output
    assert "mx.example.com" in output


def test_nmap_grades_every_cipher_suite_a(tmp_path):
    with serving(tmp_path, tls="implicit") as server:
        output = nmap(server.port, "ssl-enum-ciphers")
    assert "least strength: A\n" in output
    assert "SSLv3" not in output
    assert "TLSv1.0" not in output


TWO = f'{CERTIFICATE}, {{ names = ["two.example.com"], cert = "two.pem", key = "two.key" }}'


@pytest.mark.parametrize("mode", MODES)
def test_each_server_name_has_its_certificate(tmp_path, mode):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    authority.write(tmp_path, "two.example.com", stem="two")
    ca = authority.write_authority(tmp_path)
    starttls = ["-starttls", "smtp"] if mode == "starttls" else []
    expected = {"two.example.com": "two.example.com", "x.example": "localhost"}
    with serving(tmp_path, tls=mode, certificate=TWO) as server:
        for requested, shown in expected.items():
            done = subprocess.run(
                [
                    "openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *starttls,
                    "-CAfile", ca, "-servername", requested, "-verify_hostname", shown,
                ],
                input=b"QUIT\n",
                capture_output=True,
                timeout=60,
                check=False,
            )  # fmt: skip
            assert b"Verify return code: 0 (ok)" in done.stdout, done.stdout
