"""The configuration: one TOML file read into typed values, checked before anything runs.

`schema` says what may be configured, `load` reads it, `problem` says what is wrong with it.
"""
