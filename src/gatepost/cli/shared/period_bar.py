"""A progress bar for commands that read the records of a period in the order of time."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Records between two updates of the bar.
_STEP = 100


@contextmanager
def period_bar(name: str, since: float, until: float) -> Iterator[Callable[[float], None] | None]:
    """Yield a function that takes the time of a record; None if there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms, only needed on a terminal
    from rich.progress import Progress  # noqa: PLC0415 - likewise

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=until - since)
        count = 0

        def show(moment: float) -> None:
            nonlocal count
            count += 1
            if count % _STEP == 0:
                bar.update(task, completed=moment - since)

        yield show
