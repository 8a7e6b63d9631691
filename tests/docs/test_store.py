"""docs/store.md: its plugins, its batch, its URLs and its limits are those of the code."""

import asyncio
import inspect
import re
import sys

import pytest
from tests.docs.pages import blocks, page, rows

from gatepost import Store
from gatepost.config.units import format_size
from gatepost.model.address import Address
from gatepost.model.decision import Verdict
from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place
from gatepost.store import guarded, keys, quota
from gatepost.store.opening import check_url
from gatepost.store.sqlite import backend
from gatepost.testing import memory_store

FILES = {block.split()[1]: block for block in blocks("store", "python")}


def executed(block):
    names = {}
    exec(compile(block, "docs/store.md", "exec"), names)
    return names


class Peer:
    host = "192.0.2.1"


class Session:
    peer = Peer


class Transaction:
    session = Session
    reverse_path = Address.parse("a@client.example")


class Recipient:
    address = Address.parse("user@example.com")


@pytest.fixture
def made():
    """The plugins of the page; a plugin without a server has a store in memory."""

    def make(name):
        return executed(FILES[f"{name.lower()}.py"])[name]()

    return make


def test_the_greylist_defers_once(made):
    async def scenario():
        plugin = made("Grey")
        return [await plugin.on_rcpt(Transaction, Recipient) for _ in range(2)]

    first, second = asyncio.run(scenario())
    assert (first.verdict, second) == (Verdict.DEFER, None)


def test_the_limit_defers_the_eleventh_message(made):
    async def scenario():
        plugin = made("Limit")
        return [await plugin.on_mail(Transaction, Transaction.reverse_path) for _ in range(11)]

    *passed, last = asyncio.run(scenario())
    assert passed == [None] * 10
    assert last.text == "try again in 360 seconds"


def test_the_test_of_the_page_passes(tmp_path, monkeypatch):
    for name, block in FILES.items():
        (tmp_path / name).write_text(block)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "grey", raising=False)
    executed(FILES["test_grey.py"])["test_a_new_sender_is_deferred_once_a_day"]()
    sys.modules.pop("grey")


@pytest.mark.parametrize("name", ["grey", "limit"])
def test_the_files_of_the_page_are_plugins(name, tmp_path):
    (tmp_path / f"{name}.py").write_text(FILES[f"{name}.py"])
    assert load_plugin(f"{name}.py", {}, Place(tmp_path)).name == name


def test_the_batch_counts():
    store = memory_store()
    count = executed(FILES["batch.py"])["count"]
    assert asyncio.run(count(store, "192.0.2.1", "a@example.com")) == (1, 1)


def test_the_urls_are_valid():
    urls = blocks("store", "text")[0].splitlines()
    numbered = [url.replace("PORT", "6379").replace("DATABASE", "0") for url in urls]
    assert [check_url(url).password for url in numbered] == ["PASSWORD"] * 3


def test_every_method_is_listed_with_its_arguments():
    cells = [row[0].strip("`").removeprefix("await ") for row in rows(page("store"))]
    listed = [cell for cell in cells if cell.startswith("store.") and cell != "store.url"]
    names = {re.match(r"store\.(\w+)", one)[1] for one in listed}
    public = {name for name in vars(Store) if not name.startswith("_")}
    assert names == public
    for one in listed:
        name, _, arguments = one.removeprefix("store.").rstrip(")").partition("(")
        if arguments:
            signature = inspect.signature(getattr(Store, name))
            written = [part.partition("=")[0].strip() for part in arguments.split(",")]
            assert written == list(signature.parameters)[1:], name


def size(octets):
    return re.sub(r"(\d)([A-Z])", r"\1 \2", format_size(octets))


def test_the_limits_are_those_of_the_code():
    text = " ".join(page("store").split())
    for number in (
        f"may use {size(quota.QUOTA)}",
        f"at most {size(backend.SIZE)}",
        f"more than {keys.MAX_KEY} octets",
        f"up to {keys.MAX_VALUE} octets",
        f"After {guarded.FAILURES} failures",
        f"for {guarded.PAUSE:g} seconds",
        f"more than {backend.IN_PLACE} operations",
    ):
        assert number in text, number
