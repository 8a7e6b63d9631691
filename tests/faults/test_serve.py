"""A real server whose name servers and store do not answer: mail, the log, `gatepost explain`."""

import re
import socket
import subprocess
from contextlib import closing

import pytest
from tests.e2e.conftest import serving
from tests.e2e.server import GATEPOST, eventually

PLUGINS = ("iprev", "helo", "spf", "sender_domain", "dkim", "dmarc", "reputation", "greylist")
CONFIG = """
[dns]
servers = ["127.0.0.1:{dns}"]
timeout = "100ms"

[store]
url = "redis://127.0.0.1:{store}"

[[plugin]]
use = "dnsbl"
options = {{ zones = ["a.example", "b.example", "c.example", "d.example"] }}
""" + "".join(f'\n[[plugin]]\nuse = "{name}"\n' for name in PLUGINS)


def send(server, recipient, count):
    """Send messages from a client on the Internet; return the last reply to each."""
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        stream = client.makefile("rwb")
        client.sendall(b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 25\r\n")
        replies = [reply(stream)]
        for line in ("EHLO mail.client.example", *(envelope(recipient) * count)):
            stream.write(f"{line}\r\n".encode())
            stream.flush()
            replies.append(reply(stream))
    return [one for one in replies if " 2.0.0 " in one or one[0] in "45"]


def envelope(recipient):
    content = "From: a@client.example\r\n\r\nx\r\n."
    return ["MAIL FROM:<a@client.example>", f"RCPT TO:<{recipient}>", "DATA", content]


def reply(stream):
    while (line := stream.readline().decode())[3:4] == "-":
        pass
    return line


@pytest.mark.slow
def test_mail_passes_and_the_cause_is_in_the_log_and_in_the_explanation(tmp_path):
    pytest.importorskip("redis")
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as dns,
        closing(socket.create_server(("127.0.0.1", 0))) as store,
    ):
        dns.bind(("127.0.0.1", 0))
        config = CONFIG.format(dns=dns.getsockname()[1], store=store.getsockname()[1])
        with serving(tmp_path, config, listen='proxy_from = ["127.0.0.0/8"]') as server:
            replies = send(server, server.address(), 3)
            assert [one[:3] for one in replies] == ["250"] * 3
            log = server.folder / "log"
            eventually(lambda: "store unavailable" in log.read_text())
            assert log.read_text().count("name servers unavailable") == 1
            assert log.read_text().count("store unavailable") == 1
            assert "plugin failed" not in log.read_text()
            reference = re.search(r", (\S+-\S+)\r\n", replies[-1])[1]
            story = eventually(lambda: explained(server, reference))
            assert re.search(r"^spf +temperror", story, re.MULTILINE)
            assert re.search(r"^greylist +temperror", story, re.MULTILINE)


def explained(server, reference):
    command = [GATEPOST, "explain", "-c", server.folder / "gatepost.toml", reference]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout if found.returncode == 0 else ""
