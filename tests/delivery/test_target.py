"""The contract of targets with a running server."""

import asyncio

import pytest

import gatepost


class Resource(gatepost.Target):
    """Records its start and stop; `problem` is raised by the start."""

    calls = None
    problem = None

    async def start(self):
        self.calls.append("start")
        if self.problem is not None:
            raise self.problem

    async def stop(self):
        self.calls.append("stop")

    def deliver(self, delivery):
        self.calls.append("deliver")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Return a server with a route to the target."""
    monkeypatch.setattr(Resource, "calls", [])
    config = gatepost.config_from_dict(
        {"listen": [{"address": "127.0.0.1:0"}], "route": [{"to": "resource:"}]}, tmp_path
    )
    return gatepost.Server(config, targets={"resource": Resource})


def test_a_target_is_started_and_stopped_with_the_server(server):
    async def run():
        async with server:
            assert Resource.calls == ["start"]

    asyncio.run(run())
    assert Resource.calls == ["start", "stop"]


def test_a_target_that_cannot_start_keeps_the_server_from_starting(server, monkeypatch):
    monkeypatch.setattr(Resource, "problem", OSError("no connection"))
    with pytest.raises(OSError, match="no connection"):
        asyncio.run(server.start())
    assert Resource.calls == ["start", "stop"]
    assert server.addresses == []


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (gatepost.DeliveryError("Busy"), "451 4.3.0 Busy"),
        (gatepost.DeliveryError("No", permanent=True), "554 5.3.0 No"),
        (gatepost.DeliveryError("", reply=gatepost.Reply(550, "Gone", "5.1.1")), "550 5.1.1 Gone"),
    ],
)
def test_the_reply_of_an_error(error, reply):
    assert str(error.as_reply()) == reply
    assert error.answered is (error.reply is not None)
