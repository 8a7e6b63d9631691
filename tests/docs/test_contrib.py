"""The files in contrib: the configuration, the unit and the container belong together."""

import re
import subprocess
import sys

from tests.docs.pages import ROOT

from gatepost.config.listen import InetAddress
from gatepost.config.load import load_config
from gatepost.testing import RunningServer

CONTAINER = (ROOT / "contrib/Containerfile").read_text("utf-8")


def test_the_configuration_of_the_container_uses_its_port_and_volume():
    config = load_config(ROOT / "contrib/container.toml")
    (volume,) = re.findall(r"^VOLUME (.*)$", CONTAINER, re.MULTILINE)
    (port,) = re.findall(r"^EXPOSE (.*)$", CONTAINER, re.MULTILINE)
    assert [one.address for one in config.listen] == [InetAddress("0.0.0.0", int(port))]
    assert str(config.data_dir) == volume
    assert config.route[0].to.startswith(f"maildir:{volume}/")


def test_the_health_check_of_the_container_works():
    (program,) = re.findall(r'"(import smtplib;.*)"', CONTAINER)
    with RunningServer() as server:
        good = program.replace("2525", str(server.address[1]))
        assert subprocess.run([sys.executable, "-c", good], check=False).returncode == 0
    bad = subprocess.run([sys.executable, "-c", good], capture_output=True, check=False)
    assert bad.returncode != 0
