"""Small programs that take mail, written for a test."""

import asyncio
import sys


def script(folder, body, name="program", interpreter="/bin/sh"):
    """Write an executable script and return its path."""
    path = folder / name
    path.write_text(f"#!{interpreter}\n{body}\n")
    path.chmod(0o755)
    return path


def python(folder, body, name="program.py"):
    return script(folder, body, name, f"{sys.executable} -IS")


def deliver(target, what):
    """Deliver, and let the threads of the target go."""

    async def run():
        try:
            return await target.deliver(what)
        finally:
            await stop(target)

    return asyncio.run(run())


async def stop(target):
    """Let a target go that holds something open."""
    if hasattr(target, "stop"):
        await target.stop()
