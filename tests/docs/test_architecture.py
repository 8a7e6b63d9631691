"""docs/architecture.md lists the packages of the source, in the order of the import contract."""

import re
import tomllib

from tests.docs.pages import ROOT, page, rows, section

SOURCE = ROOT / "src" / "gatepost"
# Modules that are no part of the layers: the public names, the program, the version.
OUTSIDE = {"__init__", "__main__", "_build", "_version", "_imports"}


def contract(key, module):
    """The modules under `key` of the first contract that has this module there."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    contracts = tools["importlinter"]["contracts"]
    return next(one for one in contracts if module in one.get(key, ()))


def short(names):
    """The names without the package; siblings of one layer are separated."""
    return [
        one.strip(" ()").removeprefix("gatepost.")
        for name in names
        for one in re.split("[|:]", name)
    ]


def listed():
    return [row[0].strip("`") for row in rows(section("architecture", "Packages"))]


def test_the_packages_are_listed_in_the_order_of_the_import_contract():
    assert listed() == short(contract("layers", "gatepost.cli")["layers"])


def test_every_package_of_the_source_is_listed():
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    modules = {path.stem for path in SOURCE.glob("*.py")} - OUTSIDE
    assert set(listed()) == folders | modules


def test_the_pure_packages_and_their_forbidden_imports_are_listed():
    pure = contract("source_modules", "gatepost.wire")
    sentence = re.search(r"^(.*) import none of ([^.]*)\.", page("architecture"), re.MULTILINE)
    sources, modules = sentence.groups()
    assert set(re.findall(r"`(\w+)`", sources)) == set(short(pure["source_modules"]))
    assert set(re.findall(r"`(\w+)`", modules)) == set(pure["forbidden_modules"])
