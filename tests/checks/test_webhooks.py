"""The warnings of `gatepost check` about webhooks."""

import pytest

from gatepost.checks import webhooks as checked
from gatepost.checks.webhooks import webhooks
from gatepost.config.load import config_from_dict
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config, WebhookConfig

URL = "https://hooks.example.com/mail"


def warnings(folder, **settings):
    hook = WebhookConfig(**{"url": URL, "events": ["trap"], "secret_file": "secret"} | settings)
    return list(webhooks(Config(base=folder, webhook=[hook]), None, None))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    return tmp_path


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:8/", "http://[::1]/", "http://localhost/"])
def test_a_webhook_that_is_well_has_no_warning(folder, url):
    assert warnings(folder, url=url) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"secret_file": "missing"}, "cannot be read"),
        ({"url": "http://hooks.example.com/"}, "hooks.example.com without encryption"),
        ({"url": "http://192.0.2.1/"}, "192.0.2.1 without encryption"),
        ({"events": []}, "webhook[0].events is empty: nothing is sent"),
    ],
)
def test_a_fault_is_a_warning(folder, settings, expected):
    (warning,) = warnings(folder, **settings)
    assert warning.startswith("webhook[0].")
    assert expected in warning


def test_a_missing_package_is_a_warning(folder, monkeypatch):
    monkeypatch.setattr(checked, "find_spec", lambda _name: None)
    assert warnings(folder) == [
        "webhook: expected the package aiohttp: pip install 'gatepost[http]'"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "https://",
        "https://user:pw@x/",
        "https://x:port/",
        "https://x/#y",
        "https://x y/",
    ],
)
def test_a_url_of_another_form_is_an_error_that_does_not_show_it(url):
    hook = {"url": url, "events": ["trap"], "secret_file": "secret"}
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"webhook": [hook]})
    problems = [str(one) for one in caught.value.problems if "webhook[0].url" in str(one)]
    assert len(problems) == 1
    assert "user:pw" not in problems[0]
