"""ARC chains, and what trusted forwarders state."""

import json
from pathlib import Path

import pytest
from tests.plugins.signing import message, record, transcript

from gatepost import Plugin
from gatepost.plugins.arc import Arc
from gatepost.testing import FakeResolver, play
