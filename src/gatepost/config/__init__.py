"""The configuration: one TOML file, read into typed values and checked before anything starts.

`schema` declares the settings, `load` reads the file, `problem` describes errors.
"""
