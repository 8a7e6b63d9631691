"""Programs that take mail, written for a test."""

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
    """Deliver, and stop the target."""

    async def run():
        try:
            return await target.deliver(what)
        finally:
            await target.stop()

    return asyncio.run(run())
