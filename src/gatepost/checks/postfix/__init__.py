"""Checks of the settings of Postfix: the places at which it asks this server."""
