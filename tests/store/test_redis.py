"""The store of several machines, with a real Redis that is killed, suspended, full, read-only."""

import asyncio
import contextlib

import pytest
from tests.net.authority import other_authority, write, write_authority
from tests.store.stores import PATIENT, RedisStores, call
from tools.daemon import free_port

from gatepost.store.errors import KeyTypeError, StoreError

SHORT = 0.1


@pytest.fixture
def make(runner):
    """A function that makes connections to a server, which are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(server, **options):
            made = RedisStores(runner, server, **options)
            stack.callback(made.close)
            return made.open(guarded=False)

        yield make


def test_keys_start_with_the_prefix_and_the_namespace(make, make_redis):
    with make_redis() as server:
        make(server, prefix="mx:").set("k", "v")
        assert server.command("KEYS", "*") == b"*1\r\n$13\r\nmx:contract:k\r\n"


def test_redis_itself_removes_what_has_expired(make, make_redis):
    with make_redis() as server:
        store = make(server)
        store.set("set", 1, ttl=0.0001)
        store.add("add", ttl=3600)
        store.incr("incr", ttl=3600)
        store.take("take", rate=1 / 3600, burst=2)
        store.set("stays", 1)
        left = {
            name: int(server.command("PTTL", f"gatepost:contract:{name}").strip(b":\r\n"))
            for name in ("add", "incr", "take", "stays")
        }
    assert left.pop("stays") == -1
    assert {name for name, milliseconds in left.items() if 0 < milliseconds <= 3_600_000} == set(
        left
    )


def test_a_killed_server_is_an_error_until_it_runs_again(make, make_redis):
    with make_redis() as server:
        store = make(server)
        store.incr("n")
        server.kill()
        for _ in range(3):
            with pytest.raises(StoreError):
                store.incr("n")
        server.start()
        assert store.incr("n") == 1


def test_a_server_that_was_never_there_is_an_error(make, make_redis):
    with make_redis() as server:
        server.kill()
        store = make(server)
        with pytest.raises(StoreError, match="unix://"):
            store.get("k")
        server.start()
        assert store.get("k") is None


def test_a_restart_between_operations_goes_unnoticed_or_is_one_error(make, make_redis):
    with make_redis() as server:
        store = make(server)
        store.incr("n")
        server.kill()
        server.start()
        with contextlib.suppress(StoreError):
            store.incr("n")
        assert store.incr("n") in {1, 2}


def test_a_suspended_server_is_an_error_after_the_timeout(make, make_redis):
    with make_redis() as server:
        store = make(server, timeout=SHORT)
        with contextlib.suppress(StoreError):
            store.set("k", 1)
        server.suspend()
        with pytest.raises(StoreError, match="no answer in time"):
            store.get("k")
        with pytest.raises(StoreError, match="no answer in time"):
            store.get("k")
        server.resume()
        patient = make(server)
        patient.set("k", 2)
        assert patient.get("k") == 2


def test_an_answer_after_the_deadline_is_not_that_of_another_operation(make, make_redis, runner):
    with make_redis() as server:
        setup, store = make(server), make(server, timeout=SHORT)
        setup.set("a", "of a")
        setup.set("b", "of b")
        server.suspend()
        with pytest.raises(StoreError):
            store.get("a")
        server.resume()
        assert setup.get("b") == "of b"
        found = [answer(store, "b") for _ in range(20)]
        assert "of b" in found
        assert "of a" not in found


def answer(store, key):
    try:
        return store.get(key)
    except StoreError as error:
        return error


def test_all_waiting_operations_fail_together(make, make_redis, runner):
    with make_redis() as server:
        store = make(server, timeout=SHORT).store
        server.suspend()

        async def scenario():
            return await asyncio.gather(
                *(store.incr("n") for _ in range(50)), return_exceptions=True
            )

        assert {type(one) for one in runner.run(scenario())} == {StoreError}
        server.resume()


def test_too_many_waiting_operations_are_refused(make, make_redis, runner, monkeypatch):
    from gatepost.store.redis import link

    monkeypatch.setattr(link, "MAX_WAITING", 3)
    with make_redis() as server:
        store = make(server).store

        async def scenario():
            return await asyncio.gather(
                *(store.incr("n") for _ in range(5)), return_exceptions=True
            )

        results = runner.run(scenario())
    assert results[:3] == [1, 2, 3]
    assert [str(one).rpartition(": ")[2] for one in results[3:]] == [
        "too many operations are waiting"
    ] * 2


def test_a_read_only_replica_is_an_error(make, make_redis):
    with make_redis() as server:
        store = make(server)
        store.set("k", 1)
        server.command("REPLICAOF", "127.0.0.1", "1")
        for write in (
            lambda: store.set("k", 2),
            lambda: store.incr("k"),
            lambda: store.take("t", rate=1, burst=1),
        ):
            with pytest.raises(StoreError) as caught:
                write()
            assert not isinstance(caught.value, KeyTypeError)
        server.command("REPLICAOF", "NO", "ONE")
        store.set("k", 2)
        assert store.get("k") == 2


def test_a_read_only_server_leads_to_another_connection(make, make_redis):
    """A name that leads to a new primary needs a new connection, although the old one works."""
    with make_redis() as server:
        store = make(server)
        store.incr("n")
        first = connections(server)
        server.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreError):
            store.incr("n")
        server.command("REPLICAOF", "NO", "ONE")
        store.incr("n")
        assert connections(server) != first


def connections(server):
    reply = server.command("CLIENT", "LIST").decode()
    return {line.split()[0] for line in reply.splitlines() if " cmd=eval" in line}


def test_a_full_server_is_an_error_and_values_stay_readable(make, make_redis):
    with make_redis() as server:
        store = make(server)
        store.set("k", 1)
        server.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreError, match="maxmemory"):
            store.set("k", 2)
        with pytest.raises(StoreError, match="maxmemory"):
            store.incr("k")
        assert store.get("k") == 1
        server.command("CONFIG", "SET", "maxmemory", "0")
        assert store.incr("k") == 2


def test_a_server_that_is_flushed_under_load_starts_from_zero(make, make_redis, runner):
    with make_redis() as server:
        store = make(server).store

        async def load():
            counts = []
            for number in range(300):
                if number % 100 == 50:
                    await asyncio.to_thread(server.command, "FLUSHALL")
                    await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")
                counts.append(await store.incr("n"))
                assert await store.take(f"t{number}", rate=1, burst=1)
            return counts

        counts = runner.run(load())
    assert counts == [*range(1, 51), *range(1, 101), *range(1, 101), *range(1, 51)]


def test_a_wrong_password_is_an_error_without_the_password(make, make_redis):
    with make_redis("--requirepass", "right-one") as server:
        for query in ("", "?password=wrong-one"):
            store = make(server, url=server.url + query)
            with pytest.raises(StoreError) as caught:
                store.get("k")
            assert "wrong-one" not in str(caught.value)
        store = make(server, url=f"{server.url}?password=right-one&db=3")
        store.set("k", "v")
        assert store.get("k") == "v"
        over_tcp = make(server, url=f"redis://:right-one@127.0.0.1:{server.port}/3")
        assert over_tcp.get("k") == "v"


def test_an_unknown_database_is_an_error(make, make_redis):
    with make_redis() as server, pytest.raises(StoreError, match="DB index"):
        make(server, url=f"{server.url}?db=999").get("k")


def tls_options(folder):
    cert, key = write(folder, "redis.example", "127.0.0.1")
    ca = write_authority(folder)
    return ("--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca), ca


def test_tls_requires_the_name_and_the_authority(make, make_redis, tmp_path):
    options, ca = tls_options(tmp_path)
    port = free_port()
    (tmp_path / "other").mkdir()
    other = write_authority(tmp_path / "other", other_authority())
    options = (*map(str, options), "--tls-port", str(port), "--tls-auth-clients", "no")
    with make_redis(*options) as server:
        store = make(server, url=f"rediss://127.0.0.1:{port}?ca={ca}")
        store.set("k", "v")
        assert store.get("k") == "v"
        for wrong in (
            f"rediss://localhost:{port}?ca={ca}",
            f"rediss://127.0.0.1:{port}?ca={other}",
            f"rediss://127.0.0.1:{port}",
        ):
            with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
                make(server, url=wrong).get("k")


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_port_of_the_other_protocol_is_an_error(make, make_redis, tmp_path, scheme):
    options, _ = tls_options(tmp_path)
    port = free_port()
    options = (*map(str, options), "--tls-port", str(port), "--tls-auth-clients", "no")
    with make_redis(*options) as server:
        wrong = {"redis": port, "rediss": server.port}[scheme]
        with pytest.raises(StoreError):
            make(server, url=f"{scheme}://127.0.0.1:{wrong}", timeout=SHORT).get("k")


def test_a_value_of_another_program_fails_alone(make, make_redis):
    with make_redis() as server:
        store = make(server)
        server.command("RPUSH", "gatepost:contract:list", "x")
        server.command("SET", "gatepost:contract:text", "x")
        server.command("SET", "gatepost:contract:octets", '"x')
        for key in ("list", "text"):
            fine, wrong, last = store.batch(call("incr", "n"), call("get", key), call("get", "no"))
            assert (fine.value > 0, last.value) == (True, None)
            with pytest.raises(StoreError):
                _ = wrong.value
            with pytest.raises(KeyTypeError):
                store.incr(key)
            with pytest.raises(KeyTypeError):
                store.take(key, rate=1, burst=1)
        assert store.get("octets") == "x"


def test_a_server_that_sends_garbage_is_an_error(make, runner):
    async def garbage(reader, writer):
        await reader.read(10)
        writer.write(b"220 mx.example.com ESMTP\r\n")
        writer.close()

    async def scenario():
        listener = await asyncio.start_server(garbage, "127.0.0.1", 0)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            stores = RedisStores(runner, None, url=f"redis://127.0.0.1:{port}")
            store = stores.open(guarded=False).store
            with pytest.raises(StoreError):
                await store.get("k")
            await stores.backends[0].close()

    pytest.importorskip("redis")
    runner.run(scenario())


def test_operations_that_wait_are_failed_by_close(make_redis, runner):
    with make_redis() as server:
        stores = RedisStores(runner, server, timeout=PATIENT)
        store = stores.open(guarded=False).store

        async def scenario():
            await store.get("k")
            server.suspend()
            waiting = [asyncio.create_task(store.get("k")) for _ in range(3)]
            for _ in range(5):
                await asyncio.sleep(0)
            await stores.backends[0].close()
            return await asyncio.gather(*waiting, return_exceptions=True)

        results = runner.run(scenario())
        server.resume()
    assert {type(one) for one in results} == {StoreError}
