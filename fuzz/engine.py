"""The fuzzing engine: runs a check on mutated seeds until it fails, or time or runs are over.

A check takes bytes and raises if its invariant does not hold. The failing input is written to
standard error as a Python literal, and to the file of `--save`. A saved file that is given as an
argument is checked again. The same `--seed` gives the same inputs.
"""

import argparse
import importlib
import importlib.util
import itertools
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

Check = Callable[[bytes], None]

MAX_INPUT = 4096
MAX_MUTATIONS = 6
ANY_SEED = 1 << 32


class Target(NamedTuple):
    """A fuzzing target: the check, the first inputs, and the tokens of its grammar."""

    check: Check
    seeds: Sequence[bytes]
    tokens: Sequence[bytes]


def mutate(data: bytes, target: Target, dice: random.Random) -> bytes:
    """Change the data in a few places."""
    for _ in range(dice.randint(1, MAX_MUTATIONS)):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((0, 0, 1, 2, 8, 64)))
        new = dice.choice(_NEW)(data, target, dice)
        data = data[:start] + new + data[end:]
    return data[:MAX_INPUT]


def _nothing(_data: bytes, _target: Target, _dice: random.Random) -> bytes:
    return b""


def _noise(_data: bytes, _target: Target, dice: random.Random) -> bytes:
    return dice.randbytes(dice.randint(1, 3))


def _token(_data: bytes, target: Target, dice: random.Random) -> bytes:
    return dice.choice(target.tokens)


def _copy(data: bytes, _target: Target, dice: random.Random) -> bytes:
    start = dice.randint(0, len(data))
    return data[start : start + dice.randint(1, 64)]


def _splice(_data: bytes, target: Target, dice: random.Random) -> bytes:
    return _copy(dice.choice(target.seeds), target, dice)


_NEW = (_nothing, _noise, _token, _token, _copy, _splice)


def inputs(target: Target, dice: random.Random) -> Iterator[bytes]:
    """Yield the seeds, then mutations of them without end."""
    yield from target.seeds
    while True:
        yield mutate(dice.choice(target.seeds), target, dice)


def run(target: Target, arguments: Sequence[str] | None = None) -> int:
    """Fuzz with the options of the command line; return 0 if the invariant held, else 1."""
    options = _options(arguments)
    if options.inputs:
        return _try_all(target.check, (path.read_bytes() for path in options.inputs), options.save)
    if not options.plain and importlib.util.find_spec("atheris") is not None:
        _run_guided(target, options)
    dice = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
    limited = itertools.islice(inputs(target, dice), options.runs)
    return _try_all(target.check, _until(limited, options.seconds), options.save)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="stop after this many seconds (default: 60)"
    )
    parser.add_argument("--runs", type=int, help="stop after this many inputs")
    parser.add_argument("--seed", type=int, help="repeat the run that printed this seed")
    parser.add_argument("--plain", action="store_true", help="do not use atheris")
    parser.add_argument("--save", type=Path, help="write the failing input to this file")
    parser.add_argument("inputs", nargs="*", type=Path, help="files to check, instead of fuzzing")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(ANY_SEED)
        sys.stderr.write(f"seed {options.seed}\n")
    return options


def _until(data: Iterator[bytes], seconds: float) -> Iterator[bytes]:
    deadline = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < deadline, data)


def _try_all(check: Check, data: Iterator[bytes], save: Path | None) -> int:
    runs = 0
    for runs, item in enumerate(data, start=1):  # noqa: B007 - the last number is the result
        try:
            check(item)
        except Exception as error:  # noqa: BLE001 - any exception is a finding
            sys.stderr.write(f"broken by {item!r}\n")
            if save is not None:
                save.write_bytes(item)
            traceback.print_exception(error)
            return 1
    sys.stdout.write(f"{runs} inputs, the invariant held\n")
    return 0


def _run_guided(target: Target, options: argparse.Namespace) -> None:
    """Run atheris, which ends the process itself."""
    atheris = importlib.import_module("atheris")
    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={int(options.seconds)}", f"-max_len={MAX_INPUT}"]
        limits += [f"-seed={options.seed}"] if options.seed else []
        limits += [f"-runs={options.runs}"] if options.runs else []
        atheris.Setup([sys.argv[0], *limits, folder], target.check)
        atheris.Fuzz()
