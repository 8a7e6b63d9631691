"""`/status.json`: how often the state is read."""

import asyncio
import json

from starlette.requests import Request

from gatepost.config.load import config_from_dict
from gatepost.web.audit import Audit
from gatepost.web.site import Site
from gatepost.web.status import SECONDS, StatusPage


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_state_is_read_once_in_some_seconds(tmp_path):
    config = config_from_dict({"web": {"listen": "127.0.0.1:1", "public_status": True}}, tmp_path)
    site, clock = Site(config, Audit(None)), Clock()
    page = StatusPage(site, clock)

    async def ask():
        answer = await page.answer(Request({"type": "http", "headers": []}))
        return json.loads(answer.body)["time"]

    async def main():
        first, second = await ask(), await ask()
        clock.now += SECONDS + 1
        return first, second, await ask()

    first, second, third = asyncio.run(main())
    site.close()
    assert first == second < third
