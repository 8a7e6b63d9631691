"""The milter protocol, bytes in and events out: the filter's side of a connection from an MTA."""

from gatepost.wire.milter.server import MilterServer
from gatepost.wire.milter.terms import Needs

__all__ = ["MilterServer", "Needs"]
