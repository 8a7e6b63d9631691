"""The configuration of Haraka, version 2.8 and later.

`reading` reads the folder: `settings` the files of the server itself, `table` the plugins in
`config/plugins`, each by a function of the module of its stage. `ini` reads the INI files.
"""
