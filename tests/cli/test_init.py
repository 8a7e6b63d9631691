"""`gatepost init`, and the folder it creates."""

import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from tests.net.authority import MemoryTlsClient

from gatepost.checks import dns
from gatepost.cli.shared.starter import create, starter
from gatepost.config.load import load_config
from gatepost.config.schema import ServerConfig
from gatepost.net.dns_probe import Probe
from gatepost.net.tls import DEFAULT_KINDS, ListenerTls, key_pairs
from gatepost.net.tls_codec import TlsCodec

FILES = [
    ".gitignore",
    "gatepost.toml",
    "plugins/no_mondays.py",
    "plugins/test_no_mondays.py",
    "users",
    "verybadrcptto",
]


def all_files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_init_creates_a_folder_and_prints_the_next_steps(run, tmp_path):
    result = run("init", tmp_path / "new" / "mail")
    assert result.exit_code == 0
    assert all_files(tmp_path / "new" / "mail") == FILES
    assert f"cd {tmp_path}/new/mail\n  gatepost check" in result.stdout


UNIT = (Path(__file__).resolve().parents[2] / "contrib/gatepost.service").read_text()


def test_paths_of_a_service_are_those_of_the_unit(run, tmp_path):
    assert run("init", "--system", tmp_path).exit_code == 0
    config = load_config(tmp_path / "gatepost.toml")
    assert str(config.data_dir) == "/var/lib/gatepost"
    assert config.route[0].to.startswith("maildir:/var/lib/gatepost/mail/")
    assert "\nStateDirectory=gatepost\n" in UNIT


def test_the_unit_checks_the_configuration_before_a_reload():
    reload = re.findall(r"^ExecReload=(.*)$", UNIT, re.MULTILINE)
    (start,) = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    assert reload == [start.replace(" serve ", " check "), "/bin/kill -HUP $MAINPID"]


def test_the_unit_allows_the_defaults_of_the_server_their_time():
    seconds = dict(re.findall(r"^(Timeout\w+Sec)=(\d+)$", UNIT, re.MULTILINE))
    server = ServerConfig()
    assert int(seconds["TimeoutStopSec"]) > server.stop_timeout
    assert int(seconds["TimeoutStartSec"]) > server.start_timeout


def test_an_empty_folder_is_used(run, tmp_path):
    assert run("init", tmp_path).exit_code == 0
    assert all_files(tmp_path) == FILES


def test_a_folder_with_files_is_refused(run, tmp_path):
    (tmp_path / "mine").write_text("precious")
    result = run("init", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == (
        f"gatepost: {tmp_path}: expected a folder that is empty or does not exist yet\n"
    )
    assert all_files(tmp_path) == ["mine"]


def test_a_file_is_refused(run, tmp_path):
    (tmp_path / "mine").write_text("precious")
    result = run("init", tmp_path / "mine")
    assert result.exit_code == 1
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_folder_below_a_file_is_refused(run, tmp_path):
    (tmp_path / "mine").write_text("precious")
    result = run("init", tmp_path / "mine" / "mail")
    assert result.exit_code == 1
    assert result.stderr == f"gatepost: {tmp_path}/mine/mail: Not a directory\n"


def test_a_failed_create_leaves_nothing(tmp_path):
    texts = {"one/a": "1", "one/two/b": "2", "c" * 300: "a name too long for any file system"}
    with pytest.raises(OSError, match="too long"):
        create(tmp_path / "new" / "mail", texts)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path):
    (tmp_path / "b").write_text("precious")
    with pytest.raises(FileExistsError):
        create(tmp_path, {"a": "1", "b": "2"})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("b", "precious")]


def test_the_starter_can_have_another_domain():
    texts = starter("demo.example")
    assert "alice@demo.example\n" in texts["users"]
    assert 'domains = ["demo.example"]' in texts["gatepost.toml"]
    assert not any("example.com" in text for name, text in texts.items() if name[-3:] != ".py")


def test_the_starter_is_valid_except_for_a_warning_of_the_host_name(run, folder):
    result = run("check")
    assert result.exit_code == 0
    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: server.hostname is localhost")


@pytest.fixture
def without_network(monkeypatch):
    """Check name servers without a question to the network."""
    monkeypatch.setattr(dns, "system_servers", lambda: ["127.0.0.1:53"])
    monkeypatch.setattr(dns, "probe", lambda _: Probe(2))


@pytest.mark.usefixtures("without_network")
def test_the_profile_of_a_gateway_adds_plugins_that_refuse_nothing(run, tmp_path, monkeypatch):
    assert run("init", "--profile", "gateway", tmp_path).exit_code == 0
    monkeypatch.chdir(tmp_path)
    plugins = load_config(tmp_path / "gatepost.toml").plugin
    refusing = {"helo", "sender_domain", "greylist", "rate_limit", "score"}
    assert {one.use for one in plugins if one.action == "log"} == refusing
    assert {one.use for one in plugins if one.action != "log"} == {
        *("spf", "dkim", "arc", "dmarc", "iprev", "reputation", "standing"),
        *("trap_memory", "trap_guard"),
    }
    result = run("check")
    assert result.exit_code == 0
    assert "shadow mode       greylist: no ledger yet" in result.stdout
    assert "name servers      127.0.0.1:53 (error SERVFAIL)" in result.stdout


@pytest.mark.usefixtures("without_network")
def test_every_line_of_a_profile_that_is_commented_out_is_valid(run, tmp_path, monkeypatch):
    assert run("init", "--profile", "gateway", tmp_path).exit_code == 0
    file = tmp_path / "gatepost.toml"
    lines = file.read_text().replace('# [[plugin]]\n# use = "dnsbl"', '[[plugin]]\nuse = "dnsbl"')
    file.write_text(
        lines.replace("# options = { trusted", "options = { trusted").replace(
            "# options = { zones", "options = { zones"
        )
    )
    monkeypatch.chdir(tmp_path)
    assert run("check").exit_code == 0


def test_its_example_plugin_can_be_used(run, folder):
    text = (folder / "gatepost.toml").read_text()
    for line in ("[[plugin]]", 'use = "plugins/no_mondays.py"', "options = { day = 0 }"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    (folder / "gatepost.toml").write_text(text)
    result = run("check", "--limits")
    assert result.exit_code == 0
    assert "rcpt  on     no_mondays" in result.stdout


def run_pytest(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_example_plugin_passes_its_test(folder):
    result = run_pytest(folder, "plugins")
    assert "2 passed" in result.stdout, result.stdout


def test_init_with_tls_creates_a_usable_certificate(run, tmp_path):
    assert run("init", "--tls", tmp_path / "mail").exit_code == 0
    folder = tmp_path / "mail"
    assert all_files(folder) == sorted([*FILES, "tls/cert.pem", "tls/key.pem"])
    assert (folder / "tls/key.pem").stat().st_mode & 0o777 == 0o600
    config = load_config(folder / "gatepost.toml")
    assert config.listen[0].tls == "starttls"
    (pair,) = key_pairs(config)
    pair.load()
    listener = ListenerTls(DEFAULT_KINDS[0], [pair])
    context = ssl.create_default_context(cafile=folder / "tls/cert.pem")
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client = MemoryTlsClient(TlsCodec(listener.context()), context, "localhost")
    client.handshake()
    assert client.certificate_names == ["localhost"]
    assert run("check", "-c", folder / "gatepost.toml").exit_code == 0


def test_a_certificate_without_cryptography_is_an_error(run, tmp_path, monkeypatch):
    monkeypatch.setattr("gatepost.net.self_signed.find_spec", lambda name: None)
    result = run("init", "--tls", tmp_path / "mail")
    assert result.exit_code == 1
    assert result.stderr == (
        "gatepost: cannot make a certificate: expected the package cryptography,"
        " install it with pip install cryptography\n"
    )
    assert not (tmp_path / "mail").exists()


def test_check_reports_a_missing_key(run, tmp_path):
    run("init", "--tls", tmp_path / "mail")
    (tmp_path / "mail/tls/key.pem").unlink()
    result = run("check", "-c", tmp_path / "mail/gatepost.toml")
    assert result.exit_code == 1
    assert result.stderr == (
        f"gatepost: {tmp_path}/mail/tls/key.pem: cannot be read: No such file or directory\n"
    )


def test_check_warns_of_ineffective_tls(run, tmp_path):
    run("init", "--tls", tmp_path / "mail")
    file = tmp_path / "mail/gatepost.toml"
    text = file.read_text().replace('tls = "starttls"\n', "").replace("127.0.0.1:", "0.0.0.0:")
    file.write_text(text.replace("[tls]\n", '[tls]\nclient_ca = "tls/cert.pem"\n'))
    warnings = run("check", "-c", file).stdout
    assert (
        "warning: tls.certificates has no effect: no [[listen]] and not [web] has tls" in warnings
    )
    assert "warning: tls.client_ca is set: the handshake fails for clients" in warnings
    assert "warning: 0.0.0.0:2525: no TLS on a network" in warnings
