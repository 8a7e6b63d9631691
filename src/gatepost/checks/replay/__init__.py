"""Decide recorded sessions again under another configuration, in memory: `gatepost replay`."""
