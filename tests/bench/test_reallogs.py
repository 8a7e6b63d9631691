"""The benchmark of published tables, on small tables of the same form."""

import gzip
import json

import pytest

from bench import reallogs

SENDER = {"domain": "s1.example", "local": "0a0b0c0d0e", "class": "word"}


def recipient(local, reply="550 unknown", kind="word"):
    return {"domain": "d1.example", "local": local, "class": kind, "reply": reply}


def rows():
    one = recipient("0123456789", kind="message-id")
    yield {"t": 0.0, "client": "100.64.1.1", "sender": SENDER, "rcpts": [one]}
    message = {"client": "100.64.1.2", "sender": SENDER, "rcpts": [recipient("aa", "250")]}
    yield {**message, "t": 9.0, "result": "accepted", "label": "spam", "dkim_pass": True}
    yield {**message, "t": 10.0, "result": "refused by content filter", "label": "spam"}
    many = [recipient(f"{number:010}") for number in range(11)]
    yield {"t": 20.0, "client": "100.64.2.1", "sender": SENDER, "rcpts": many}
    other = {**message, "client": "100.64.3.1"}
    yield {**other, "t": 30.0, "result": "accepted", "label": "legitimate"}


@pytest.fixture
def data(tmp_path):
    for name in (reallogs.LOG, reallogs.PHISHING):
        (tmp_path / name).parent.mkdir()
    (tmp_path / reallogs.LOG).write_text("".join(json.dumps(row) + "\n" for row in rows()))
    table = (
        "hours,network,host,sender_domain,freemail,big_provider,spf,dkim,dmarc\n"
        "0.0,1,1,1,0,0,none,none,fail\n"
        "24.0,1,2,2,1,0,none,none,fail\n"
        "48.5,2,3,1,0,0,none,none,fail\n"
        "49.0,2,3,1,0,1,none,none,fail\n"
    )
    (tmp_path / reallogs.PHISHING).write_bytes(gzip.compress(table.encode()))
    return tmp_path


def test_the_log_is_judged_by_the_rules(data):
    found = {one.name: one.found for one in reallogs.measure_log(data / reallogs.LOG)}
    assert list(found.values()) == [1, 11, 1, 1, 1, 0]


def test_the_memory_recognises_keys_within_the_window(data):
    found = {one.name: one.found for one in reallogs.measure_phishing(data / reallogs.PHISHING)}
    assert found["all: network, 1 d, %"] == 50.0
    assert found["all: domain, 1 d, %"] == 25.0
    assert found["all: domain, 7 d, %"] == 50.0
    assert found["all: network or domain, 7 d, %"] == 75.0
    assert found["all: network and domain, 7 d, %"] == 25.0
    assert found["without big providers: host, 30 d, %"] == 0.0


def test_a_figure_that_differs_is_marked_and_fails(data, capsys):
    assert reallogs.main([str(data)]) == 1
    assert "expected 13" in capsys.readouterr().out


def test_one_table_is_enough(data, capsys):
    (data / reallogs.PHISHING).unlink()
    assert reallogs.main([str(data)]) == 1
    assert "phishing" not in capsys.readouterr().out


def test_without_tables_the_usage_is_printed(tmp_path, capsys):
    assert reallogs.main([str(tmp_path)]) == 2
    assert reallogs.main([]) == 2
    assert "usage" in capsys.readouterr().out
