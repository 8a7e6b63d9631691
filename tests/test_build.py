"""The report of the build that runs; tests/packaging has the builds themselves."""

import sys

import pytest

from gatepost import _build


def test_source_files_are_pure_python(monkeypatch):
    monkeypatch.setattr(_build, "_HOT", ("gatepost.config.schema",))
    assert _build.describe_build() == "pure Python, uvloop"


def test_extension_modules_are_compiled(monkeypatch):
    monkeypatch.setattr(_build, "_HOT", ("msgspec._core",))
    assert _build.describe_build() == "compiled, uvloop"


def test_a_build_with_one_source_file_is_not_compiled(monkeypatch):
    monkeypatch.setattr(_build, "_HOT", ("msgspec._core", "gatepost.config.schema"))
    assert not _build.is_compiled()


@pytest.mark.parametrize("name", _build._HOT)
def test_the_modules_that_are_looked_at_exist(name):
    assert _build.find_spec(name) is not None


def test_without_uvloop_workers_use_the_event_loop_of_asyncio(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _build.loop_factory() is None
    assert _build.describe_build().endswith(", asyncio")


def test_with_uvloop_workers_use_it():
    loop = _build.loop_factory()()
    loop.close()
    assert type(loop).__module__ == "uvloop"
