"""A fixture that restores the log configuration of the process after each test."""

import logging
import warnings

import pytest
import structlog

from gatepost.log import setup


@pytest.fixture(autouse=True)
def log_settings():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    shown = warnings.showwarning
    yield
    warnings.showwarning = shown
    structlog.reset_defaults()
    setup._output.use(None)
    root.handlers[:] = handlers
    root.setLevel(level)
