"""The files in contrib: the configuration, the unit and the container belong together."""

import re
import subprocess
import sys
import tomllib

from tests.docs.pages import ROOT
from tools import lock

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


def test_the_compose_file_belongs_to_the_container():
    compose = (ROOT / "contrib/compose.yaml").read_text("utf-8")
    (program,) = re.findall(r"- (import smtplib;.*)$", compose, re.MULTILINE)
    assert program in CONTAINER
    (volume,) = re.findall(r"^VOLUME (.*)$", CONTAINER, re.MULTILINE)
    assert f"- mail:{volume}\n" in compose
    assert "dockerfile: contrib/Containerfile\n" in compose
    assert "./etc:/etc/gatepost:ro" in compose
    assert "cp contrib/container.toml contrib/etc/gatepost.toml" in compose


REQUIREMENT = re.compile(
    r"([A-Za-z0-9._-]+)==(\S+)(?: ; [^\\\n]+)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)\n"
)


def locked(name):
    """Return name and version of each package; nothing else may be in the file."""
    heading, _, text = (ROOT / "requirements" / name).read_text("utf-8").partition("\n")
    assert heading.startswith("# Written by `make lock`")
    assert REQUIREMENT.sub("", text) == ""
    return {normal(match[1]): match[2] for match in REQUIREMENT.finditer(text)}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_hashed_requirements_have_the_tested_versions():
    text = (ROOT / "constraints.txt").read_text("utf-8")
    tested = {normal(name): version for name, version in re.findall(r"(\S+)==(\S+)", text)}
    run = locked("run.txt")
    assert run.items() <= tested.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {normal(re.match(r"[\w.-]+", one)[0]) for one in project["dependencies"]} <= run.keys()
    needed = (re.match(r"[\w.-]+", one)[0] for one in lock.build_requirements())
    assert set(map(normal, needed)) <= locked("build.txt").keys()


def test_the_container_installs_with_hashes():
    installs = re.findall(r"pip install (.*?)(?: \\)?$", CONTAINER, re.MULTILINE)
    hashed = [f"--require-hashes -r /requirements/{name}.txt" for name in ("build", "run")]
    assert installs == [*hashed, "--no-deps /wheels/gatepost-*.whl"]
    assert "pip wheel --no-deps --no-build-isolation" in CONTAINER
