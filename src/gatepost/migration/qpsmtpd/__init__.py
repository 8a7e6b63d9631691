"""The configuration of qpsmtpd, version 0.40 and later.

`reading` reads the folder: `settings` the files of the server itself, `table` the plugins in
`config/plugins`, each by a function of the module of its stage.
"""
