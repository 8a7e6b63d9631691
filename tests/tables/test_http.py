"""Tables on a web server, against a server of the test with aiohttp."""

import asyncio
import contextlib
import json
import ssl

import pytest
from aiohttp import web
from tests.net import authority
from tests.tables.remote import table

from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import TableError

ROWS = {"ann@example.com": "Ann", "o'brien+x%2F@example.com": "o", "a/b?c#d@example.com": "abc"}
HOSTILE = ["../admin", "a/../../admin", ".", "..", "x?admin=1", "x#y", "%2e%2e/admin", "a b"]


class Site:
    """A site with users below /users/ and a batch at /batch; `asked` has the requests."""

    def __init__(self):
        self.asked = []
        self.answer = None

    async def handle(self, request):
        key = request.match_info.get("key")
        self.asked.append((request.method, request.raw_path))
        self.headers = request.headers
        if self.answer is not None:
            return self.answer()
        if request.method == "POST":
            keys = (await request.json())["keys"]
            return web.json_response({one: ROWS[one] for one in keys if one in ROWS} | {"x": "y"})
        if key not in ROWS:
            return web.Response(status=404)
        return web.json_response({"name": ROWS[key], "id": 7, "on": True, "none": None})

    @contextlib.asynccontextmanager
    async def open(self, context=None):
        """Serve the site; yield its URL."""
        app = web.Application()
        app.router.add_get("/users/{key}", self.handle)
        app.router.add_post("/batch", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        try:
            port = site._server.sockets[0].getsockname()[1]
            yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
        finally:
            await runner.cleanup()


def over(url, folder, path="/users/{key}", **options):
    return table("http:u", folder, http={"u": {"url": f"{url}{path}", **options}})


def run(folder, work, context=None, **options):
    """Run `work(table, site)` with a table of a site."""

    async def all_of_it():
        site = Site()
        async with site.open(context) as url:
            made = over(url, folder, **options)
            try:
                return await work(made, site)
            finally:
                await made.stop()
                await asyncio.sleep(0)

    return asyncio.run(all_of_it())


@pytest.mark.parametrize(
    ("value", "found"),
    [("name", ROWS), ("", dict.fromkeys(ROWS, "")), ("id", dict.fromkeys(ROWS, "7"))],
)
def test_keys_with_the_status_200_are_found(tmp_path, value, found):
    async def work(made, _site):
        assert await made.ask([*ROWS, "bob@example.com", "@example.com"]) == found

    run(tmp_path, work, value=value)


def test_one_post_has_all_keys(tmp_path):
    async def work(made, site):
        assert await made.ask([*ROWS, "bob@example.com"]) == ROWS
        assert site.asked == [("POST", "/batch")]

    run(tmp_path, work, path="/batch", method="post")


def test_a_key_is_one_part_of_the_path(tmp_path):
    async def work(made, site):
        assert await made.ask(HOSTILE) == {}
        assert [path.count("/") for _, path in site.asked] == [2] * (len(HOSTILE) - 2)
        assert not any("admin" in path and "%" not in path for _, path in site.asked)

    run(tmp_path, work)


def test_a_token_is_sent(tmp_path):
    (tmp_path / "token").write_text("abc\n")

    async def work(made, site):
        await made.ask(["ann@example.com"])
        assert site.headers["Authorization"] == "Bearer abc"

    run(tmp_path, work, token_file="token")


BAD = {
    "a redirect": lambda: web.Response(status=302, headers={"Location": "/users/ann@example.com"}),
    "the status 500": lambda: web.Response(status=500),
    "the status 401": lambda: web.Response(status=401),
    "the status 204": lambda: web.Response(status=204),
    "no JSON": lambda: web.Response(text="<html>"),
    "a list": lambda: web.json_response([]),
    "no text": lambda: web.json_response({"name": {}}),
    "a truth value": lambda: web.json_response({"name": True}),
    "no member": lambda: web.json_response({"x": 1}),
    "a deep value": lambda: web.Response(text='{"name":' + "[" * 10_000),
    "a long body": lambda: web.Response(body=json.dumps({"name": "x" * (1 << 20)}).encode()),
}


@pytest.mark.parametrize("answer", BAD)
@pytest.mark.parametrize("options", [{"value": "name"}, {"path": "/batch", "method": "post"}])
def test_other_answers_are_an_error(tmp_path, answer, options):
    async def work(made, site):
        site.answer = BAD[answer]
        with pytest.raises(TableError, match=r"^table http:u: \S"):
            await made.ask(["ann@example.com"])
        assert len(site.asked) == 1
        site.answer = None
        assert await made.ask(["ann@example.com"]) == {"ann@example.com": "Ann"}

    run(tmp_path, work, **options)


def test_one_error_among_several_keys_is_an_error(tmp_path):
    async def work(made, site):
        statuses = [404, 503]
        site.answer = lambda: web.Response(status=statuses.pop(0))
        with pytest.raises(TableError, match="status 503"):
            await made.ask(["a", "b"])

    run(tmp_path, work)


def test_the_certificate_of_the_server_is_checked(tmp_path):

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.write(tmp_path, "127.0.0.1"))
    authority.write_authority(tmp_path)

    async def found(made, _site):
        assert await made.ask(["ann@example.com"]) == {"ann@example.com": ""}

    async def refused(made, _site):
        with pytest.raises(TableError, match="certificate verify failed"):
            await made.ask(["ann@example.com"])

    run(tmp_path, found, context, ca="ca.pem")
    run(tmp_path, refused, context)


def test_a_restart_of_the_server_between_two_queries_is_not_noticed(tmp_path):
    async def work():
        port = None
        made = None
        for _ in range(3):
            runner = web.AppRunner(app := web.Application())
            app.router.add_get("/users/{key}", Site().handle)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", port or 0, reuse_address=True)
            await site.start()
            port = site._server.sockets[0].getsockname()[1]
            made = made or over(f"http://127.0.0.1:{port}", tmp_path)
            assert await made.ask(["ann@example.com"]) == {"ann@example.com": ""}
            await runner.cleanup()
        await made.stop()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "ftp://h/{key}"}, "expected http://HOST"),
        ({"url": "https:///{key}"}, "expected http://HOST"),
        ({"url": "https://{domain}/{key}"}, "only after the host"),
        ({"url": "https://u:hidden@h/users"}, "expected {key}, {user} or {domain}"),
        ({"url": "https://h/{key}", "method": "post"}, "neither placeholders in url nor value"),
        ({"url": "https://h/", "method": "post", "value": "a"}, "neither placeholders"),
        ({"url": "https://h/{key}", "token_file": "none"}, "cannot be read"),
    ],
)
def test_wrong_options_are_an_error_at_start(tmp_path, options, expected):
    with pytest.raises(TableSpecError, match=expected) as found:
        table("http:u", tmp_path, http={"u": options})
    assert "hidden" not in str(found.value)
