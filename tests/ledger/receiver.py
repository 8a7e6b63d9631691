"""A receiver of webhooks: an HTTP server in a thread of its own."""

import asyncio
import json
import queue
import threading

from aiohttp import web

PATIENCE = 60.0


class Receiver:
    """An HTTP server; `statuses` are those of its replies, the last one for all others."""

    def __init__(self, *statuses):
        self.statuses = list(statuses or [200])
        self.requests = queue.Queue()
        self._loop = asyncio.new_event_loop()

    async def _handle(self, request):
        body = await request.read()
        self.requests.put((dict(request.headers), body))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers={"Location": "/other"})

    async def _start(self):
        runner = web.AppRunner(self._application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook?token=x"
        return runner

    def _application(self):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    def __enter__(self):
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_error):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def next(self):
        """Return the headers and the records of the next request."""
        headers, body = self.requests.get(timeout=PATIENCE)
        return headers, json.loads(body)["records"]
