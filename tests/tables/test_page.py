"""The examples of docs/tables.md for tables on servers, with real servers where there are some."""

import asyncio
import contextlib
import tomllib

import pytest
from aiohttp import web
from tests.docs.pages import blocks
from tests.net import authority
from tests.tables.remote import serving
from tests.tables.test_postfix_protocols import serve_socketmap, serve_tcp
from tools import dovecot, postgresql, redis, slapd

from gatepost.testing import play_async

EXAMPLES = {
    name.removesuffix(".toml"): tomllib.loads(block)
    for block in blocks("tables", "toml")
    for name in block.split()[1:2]
}
DIALOGUE = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<Ann+news@example.com>
    S: 250
    C: RCPT TO:<"x' or '1'='1"@example.com>
    S: 550 5.1.1 No such mailbox*
    C: RCPT TO:<*@example.com>
    S: 550 5.1.1 No such mailbox*
    C: RCPT TO:<bob@example.com>
    S: 550 5.1.1 No such mailbox*
"""


@contextlib.asynccontextmanager
async def sql(folder, section):
    with postgresql.running(
        "create table users (address text primary key, target text, active boolean);"
        "insert into users values ('ann@example.com', 'ann', true), ('bob@example.com', '', false)"
    ) as server:
        (folder / "db-password").write_text(postgresql.PASSWORD)
        section["url"] = server.url
        yield


@contextlib.asynccontextmanager
async def ldap(folder, section):
    cert, key = authority.write(folder, "127.0.0.1")
    authority.write_authority(folder).rename(folder / "ldap-ca.pem")
    (folder / "ldap-password").write_text(slapd.PASSWORD)
    (folder / "slapd").mkdir()
    tls = f"TLSCertificateFile {cert}\nTLSCertificateKeyFile {key}"
    with slapd.running(folder / "slapd", ["ann@example.com"], options=tls) as server:
        section["urls"] = [server.url]
        section["base"] = slapd.BASE
        section["bind_dn"] = slapd.ROOT_DN
        yield


@contextlib.asynccontextmanager
async def in_redis(folder, section):
    (folder / "redis-password").write_text("secret")
    with redis.running() as server:
        server.command("SET", "users:ann@example.com", "ann")
        server.command("CONFIG", "SET", "requirepass", "secret")
        section["url"] = server.url
        yield


@contextlib.asynccontextmanager
async def http(folder, section):
    (folder / "api-token").write_text("secret")

    async def handle(request):
        assert request.headers["Authorization"] == "Bearer secret"
        exists = request.path == "/users/ann@example.com"
        return web.json_response({"mailbox": "ann"}) if exists else web.Response(status=404)

    runner = web.AppRunner(app := web.Application())
    app.router.add_get("/{path:.*}", handle)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        section["url"] = section["url"].replace("https://api.example.com", site.name)
        section["url"] = section["url"].replace(":0/", f":{runner.addresses[0][1]}/")
        yield
    finally:
        await runner.cleanup()


SECTIONS = {"sql": sql, "ldap": ldap, "redis": in_redis, "http": http}
WHY_NOT = {
    "sql": postgresql.why_not,
    "ldap": slapd.why_not,
    "redis": redis.why_not,
    "dovecot": dovecot.why_not,
}


@contextlib.asynccontextmanager
async def server_of(kind, folder, config):
    """A server for an example, which is changed to be about it."""
    recipients = config["recipients"]
    async with contextlib.AsyncExitStack() as stack:
        if kind in SECTIONS:
            (section,) = config[kind].values()
            await stack.enter_async_context(SECTIONS[kind](folder, section))
        elif kind == "dovecot":
            server = stack.enter_context(dovecot.running(users=["ann@example.com"]))
            recipients["known"] = [f"dovecot:unix:{server.folder}/run/auth-userdb"]
        elif kind == "socketmap":
            await stack.enter_async_context(serving(serve_socketmap, folder / "users.sock"))
            recipients["known"] = [f"socketmap:unix:{folder}/users.sock:users"]
        else:
            port = await stack.enter_async_context(serving(serve_tcp))
            recipients["known"] = [f"tcp:127.0.0.1:{port}"]
        yield


@pytest.mark.parametrize("kind", [name for name in EXAMPLES if name != "gatepost"])
def test_the_recipients_of_the_example_exist(kind, tmp_path, monkeypatch):
    if reason := WHY_NOT.get(kind, str)():
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)

    async def run():
        async with server_of(kind, tmp_path, config := EXAMPLES[kind]):
            for section in config.get(kind, {}).values():
                section["timeout"] = "30s"
            await play_async(DIALOGUE, config={**config, "route": [{"to": "discard:"}]})

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["sql", "ldap", "redis", "http", "dovecot", "socketmap", "tcp"])
def test_recipients_are_deferred_without_the_server(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = {
        "sql": {"url": "postgresql+asyncpg://u@127.0.0.1:1/d", "query": "SELECT a IN :keys"},
        "ldap": {"urls": ["ldap://127.0.0.1:1"], "base": "dc=x"},
        "redis": {"url": "redis://127.0.0.1:1"},
        "http": {"url": "http://127.0.0.1:1/{key}"},
    }
    specs = {"dovecot": "unix:none", "socketmap": "unix:none:map", "tcp": "127.0.0.1:1"}
    config = {
        "recipients": {
            "domains": ["example.com"],
            "known": [f"{kind}:{specs.get(kind, 'users')}", "kim@example.com"],
        },
        "route": [{"to": "discard:"}],
        **({kind: {"users": here[kind]}} if kind in here else {}),
    }
    dialogue = """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a@client.example>
        S: 250
        C: RCPT TO:<ann@example.com>
        S: 451 4.3.0 Temporary lookup failure*
        C: RCPT TO:<kim@example.com>
        S: 250
    """
    asyncio.run(play_async(dialogue, config=config))
