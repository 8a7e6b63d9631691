"""Measurements of Gatepost and other receivers."""
