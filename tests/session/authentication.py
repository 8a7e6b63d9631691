"""A configuration with AUTH, and a client in memory that can authenticate."""

import msgspec
from tests.auth.samples import b64, write_users

from gatepost.config.schema import (
    AuthConfig,
    Config,
    LimitsConfig,
    ListenConfig,
    RecipientsConfig,
    RouteConfig,
)
from gatepost.wire.sasl.verifier import decode_base64

WELCOME = "235 2.7.0 Authentication succeeded"


def auth_config(folder=None, *, users=(), limits=None, auth=None, **more):
    """Return a configuration with AUTH in the clear; with a folder it has users."""
    if folder is not None:
        write_users(folder, *users)
    settings = {"clear": True, "users": "users.auth" if folder else ""} | (auth or {})
    config = Config(
        listen=[ListenConfig(auth=True)],
        auth=AuthConfig(**settings),
        limits=LimitsConfig(**(limits or {})),
        recipients=RecipientsConfig(domains=["example.com"]),
        route=[RouteConfig(to="discard:")],
        **({} if folder is None else {"base": folder}),
    )
    return msgspec.structs.replace(config, **more)


class AuthClient:
    """A client of a server in memory that sends single commands."""

    def __init__(self, server, **options):
        self.client = server.connect(**options)

    async def command(self, line):
        self.client.send(line.encode() + b"\r\n")
        return await self.client.reply()

    async def hello(self, word="EHLO"):
        await self.client.reply()
        return await self.command(f"{word} x")

    async def scram(self, exchange):
        challenge = await self.command(f"AUTH SCRAM-SHA-256 {b64(exchange.first)}")
        if not challenge.startswith("334"):
            return challenge
        final = exchange.final(decode_base64(challenge[4:]))
        verdict = await self.command(b64(final))
        if not verdict.startswith("334"):
            return verdict
        assert decode_base64(verdict[4:]) == exchange.verdict
        return await self.command("")
