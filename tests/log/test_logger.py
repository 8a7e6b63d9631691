"""Loggers in programs that embed the server: no output by default, and never a password."""

import logging
import sys

import pytest
import structlog
from tests.auth.samples import b64

from gatepost.config.load import config_from_dict
from gatepost.config.schema import LogConfig
from gatepost.log.logger import get_logger
from gatepost.log.setup import configure_log
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import accept
from gatepost.model.secret import Secret, SecretBytes
from gatepost.plugin.base import Plugin
from gatepost.testing import play

PASSWORD = "correct horse"
LOGIN = f"""
S: 220
C: EHLO client.example
S: 250
C: AUTH PLAIN {b64(f"{chr(0)}alice{chr(0)}{PASSWORD}".encode())}
S: 451
"""


class AskLdap(Plugin):
    """Fails with the password in local variables; `own` logs the failure itself."""

    def __init__(self, *, own=False):
        super().__init__()
        self.own = own

    def on_auth(self, session, attempt):
        try:
            return self.bind(attempt.user, attempt.password)
        except OSError:
            if not self.own:
                raise
            self.log.exception("bind failed", attempt=attempt, password=attempt.password)
            return accept() if attempt.proven else self.failed()

    def failed(self):
        raise OSError("the directory cannot be reached")

    def bind(self, user, password):
        raise OSError("the directory cannot be reached")


def nothing():
    pass


def structlog_defaults():
    structlog.configure()


def structlog_json():
    processors = [
        structlog.processors.dict_tracebacks,
        structlog.processors.JSONRenderer(default=repr),
    ]
    structlog.configure(processors=processors)


def standard_logging():
    logging.basicConfig(stream=sys.stdout, level=logging.DEBUG, force=True)


def gatepost_text():
    configure_log(LogConfig(level="debug", format="text"))


def gatepost_json():
    configure_log(LogConfig(level="debug", format="json"))


def failing_login(plugin):
    auth = {"address": "127.0.0.1:0", "auth": True}
    play(LOGIN, [plugin], config={"listen": [auth], "auth": {"clear": True}})


EMBEDDED = [nothing, structlog_defaults, structlog_json, standard_logging]


@pytest.mark.parametrize("configure", [*EMBEDDED, gatepost_text, gatepost_json])
def test_password_is_not_printed_when_a_plugin_fails(configure, capfd):
    configure()
    failing_login(AskLdap())
    output = "".join(capfd.readouterr())
    assert PASSWORD not in output
    assert ("the directory cannot be reached" in output) is (configure is not nothing)


@pytest.mark.parametrize("configure", [nothing, standard_logging, gatepost_text, gatepost_json])
def test_password_is_not_printed_when_a_plugin_logs_its_failure(configure, capfd):
    configure()
    failing_login(AskLdap(own=True))
    assert PASSWORD not in "".join(capfd.readouterr())


def test_nothing_is_printed_by_default(capfd):
    logging.getLogger().handlers.clear()
    get_logger("gatepost.x").error("failed")
    assert capfd.readouterr() == ("", "")


def test_events_reach_standard_logging(caplog):
    caplog.set_level(logging.INFO)
    log = get_logger("gatepost.x")
    log.debug("unseen")
    log.info("refused", peer="a b")
    log.bind(ref="1").warning("100 %s", to=["a\nb"])
    assert caplog.record_tuples == [
        ("gatepost.x", logging.INFO, 'refused peer="a b"'),
        ("gatepost.x", logging.WARNING, r'100 %s ref=1 to=["a\nb"]'),
    ]


def test_level_of_standard_logging_is_observed():
    name = "gatepost.level"
    for level, debug in ((15, False), (logging.DEBUG, True), (99, False)):
        logging.getLogger(name).setLevel(level)
        assert get_logger(name).is_enabled_for(logging.DEBUG) is debug


def test_a_configuration_of_structlog_is_used():
    log = get_logger("gatepost.x")
    with structlog.testing.capture_logs() as entries:
        log.warning("seen", peer="x")
    assert entries == [{"event": "seen", "peer": "x", "log_level": "warning"}]


def test_secret_is_text_without_a_representation():
    secret = Secret(PASSWORD)
    assert (str(secret), f"{secret}", secret + "") == (PASSWORD, PASSWORD, PASSWORD)
    assert repr([secret, SecretBytes(b"key")]) == "[<secret>, <secret>]"
    assert SecretBytes(b"key") == b"key"


def test_password_of_an_attempt_is_a_secret():
    assert repr(AuthAttempt("PLAIN", "alice", PASSWORD).password) == "<secret>"
    assert AuthAttempt("PLAIN", "alice", PASSWORD).password == PASSWORD


def test_settings_do_not_show_the_password(tmp_path):
    from gatepost.delivery.smtp.settings import ClientSettings

    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    route = {"to": "smtp://192.0.2.1", "client": {"user": "u", "password_file": "password"}}
    config = config_from_dict({"route": [route]}, tmp_path)
    settings = ClientSettings.make(config.route[0].client, tmp_path, "mx.example.com")
    assert settings.password == PASSWORD
    assert PASSWORD not in repr(settings)
