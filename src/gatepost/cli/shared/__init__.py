"""Modules that several commands share; `gatepost.cli.commands` lists the commands themselves."""
