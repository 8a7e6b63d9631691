"""Fuzzers: `python -m fuzz.wire_smtp --seconds 60`, from the project's folder.

The first line of each module states the invariant that it tries to break. Inputs are mutated at
random from seeds. If atheris is installed, coverage guides the mutations.
"""
