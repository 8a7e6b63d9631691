"""Fuzzers: `python -m fuzz.wire_smtp --seconds 60`, from the project's folder.

Each module's first line is the invariant it tries to break. Without further packages inputs are
mutated at random from seeds; where atheris is installed they are guided by coverage.
"""
