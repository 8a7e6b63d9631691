"""Stores are opened by URL; a wrong URL is a clear error without the password."""

import asyncio
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.load import config_from_dict
from gatepost.config.problem import ConfigError
from gatepost.config.schema import StoreConfig
from gatepost.store import opening
from gatepost.store.opening import StoreUrlError, check_url, open_store
from gatepost.store.redis.url import RedisUrl

VALID = {
    "redis://h": RedisUrl(host="h"),
    "redis://h:1/2": RedisUrl(host="h", port=1, database=2),
    "redis://:p%40%2F@h/": RedisUrl(host="h", password="p@/"),
    "redis://u:p@[2001:db8::1]:7000/15": RedisUrl(
        host="2001:db8::1", port=7000, user="u", password="p", database=15
    ),
    "rediss://h?ca=/etc/ca.pem": RedisUrl(host="h", tls=True, ca="/etc/ca.pem"),
    "unix:///run/r.sock": RedisUrl(path="/run/r.sock"),
    "unix:///run/r.sock?db=3&user=u&password=p": RedisUrl(
        path="/run/r.sock", user="u", password="p", database=3
    ),
}

INVALID = {
    "": 'expected "local"',
    "locale": 'expected "local"',
    "http://h": 'expected "local"',
    "redis:h": 'expected "local"',
    "LOCAL": 'expected "local"',
    "redis://": "found no host",
    "redis://:secret@/0": "found no host",
    "redis://h:0": "expected a port",
    "redis://h:99999": "expected a port",
    "redis://h:99999999999999999999": "expected a port",
    "redis://u:secret@h:x": "expected a port",
    "redis://h/x": "expected a database",
    "redis://h/-1": "expected a database",
    "redis://h/99999999999999999999": "expected a database",
    "redis://:sec#ret@h": "write it as %23",
    "redis://h?ca=x": "unknown option 'ca', expected none",
    "rediss://h?cert=x": "unknown option 'cert', expected ca",
    "unix://run/r.sock": "three slashes",
    "unix://": "three slashes",
    "redis://h /0": "without blanks",
    "redis://h\n": "without blanks",
    "redis://[::1/0": "Invalid IPv6 URL",
}


@pytest.mark.parametrize("text", VALID)
def test_a_valid_url_is_parsed(text):
    assert check_url(text) == VALID[text]


@pytest.mark.parametrize("text", INVALID)
def test_a_wrong_url_is_an_error_without_the_password(text):
    with pytest.raises(StoreUrlError) as caught:
        check_url(text)
    assert str(caught.value).startswith("store.url: ")
    assert INVALID[text] in str(caught.value)
    assert "sec" not in str(caught.value)


@given(
    st.text(max_size=40).map(lambda text: f"redis://{text}")
    | st.text("redisunx:/@[]?#%=&1a. \0é", max_size=40)
)
def test_any_text_is_a_url_or_a_clear_error(text):
    try:
        found = check_url(text)
    except StoreUrlError as error:
        problem = str(error)
    else:
        problem = ""
        assert found is None or found.host or found.path
    assert problem.isprintable()


def test_the_name_of_a_server_has_no_password():
    url = check_url("redis://u:pass-word@h:1/2")
    assert str(url) == "redis://h:1/2"
    assert "pass-word" not in repr(url)
    assert str(check_url("rediss://[::1]")) == "rediss://[::1]:6379/0"
    assert str(check_url("unix:///s?password=secret")) == "unix:///s"


@pytest.mark.parametrize("url", ["local", "memory"])
def test_a_local_store_is_opened_by_its_first_operation(url, tmp_path):
    async def scenario():
        opened = open_store(url, folder=tmp_path / "store")
        assert not list(tmp_path.iterdir())
        await opened.start()
        store = opened.scope("plugin")
        result = await store.incr("n", ttl=60)
        operations = opened.statistics.operations
        await opened.close()
        return result, operations

    assert asyncio.run(scenario()) == (1, 1 if url == "local" else 0)


def test_a_store_that_was_not_used_can_be_closed(tmp_path):
    asyncio.run(open_store(folder=tmp_path / "store").close())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_store_on_redis_is_opened_by_its_first_operation(shared_redis, tmp_path):
    async def scenario():
        opened = open_store(shared_redis.url, folder=tmp_path, prefix="opening:")
        await opened.start()
        result = await opened.scope("plugin").incr("n", ttl=60)
        await opened.close()
        return opened.name, result

    assert asyncio.run(scenario()) == (shared_redis.url, 1)
    assert not list(tmp_path.iterdir())


def test_redis_without_its_package_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(opening, "find_spec", lambda _name: None)
    with pytest.raises(StoreUrlError, match="extra"):
        open_store("redis://h", folder=tmp_path)
    open_store("local", folder=tmp_path)


def test_every_url_that_the_store_accepts_is_one_for_the_configuration():
    for text in (*VALID, "local", "memory"):
        config = config_from_dict({"store": {"url": text}})
        assert config.store.url == text
        assert text not in repr(config.store)


@pytest.mark.parametrize("text", ["", "sqlite", "http://h", "redis:h", "redis://"])
def test_other_urls_are_errors_of_the_configuration(text):
    with pytest.raises(ConfigError, match=r"store\.url: expected"):
        config_from_dict({"store": {"url": text}})


def test_the_defaults_are_those_of_the_configuration():
    config = StoreConfig()
    parameters = inspect.signature(open_store).parameters
    for name in ("url", "prefix", "timeout"):
        assert parameters[name].default == getattr(config, name)
