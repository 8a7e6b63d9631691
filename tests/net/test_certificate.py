"""The end of validity of a certificate."""

import datetime as dt

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from gatepost.net.certificate import expiry

CA = trustme.CA()
FIRST = dt.datetime(1960, 1, 1, tzinfo=dt.UTC)


def pem(until):
    made = CA.issue_cert("mx.example.com", not_before=FIRST, not_after=until)
    return made.cert_chain_pems[0].bytes()


GOOD = pem(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))


# Up to the last day that a certificate can have, in days after FIRST.
@given(st.integers(1, 2_936_000), st.integers(0, 86_399))
def test_the_expiry_is_that_of_the_package_cryptography(days, seconds):
    until = FIRST + dt.timedelta(days=days, seconds=seconds)
    found = pem(until)
    expected = x509.load_pem_x509_certificate(found).not_valid_after_utc
    assert expiry(found) == expected.timestamp() == until.replace(microsecond=0).timestamp()


def test_the_first_certificate_of_a_chain_counts():
    first = pem(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
    second = pem(dt.datetime(2050, 1, 1, tzinfo=dt.UTC))
    key = CA.issue_cert("x.example").private_key_pem.bytes()
    assert expiry(key + first + second) == expiry(first) != expiry(second)


@given(st.data())
def test_a_damaged_certificate_is_a_value_error_or_has_another_time(data):
    good = bytearray(GOOD)
    at = data.draw(st.integers(0, len(good) - 1))
    good[at : at + data.draw(st.integers(0, 80))] = data.draw(st.binary(max_size=3))
    try:
        found = expiry(bytes(good))
    except ValueError:
        return
    assert isinstance(found, float)


@pytest.mark.parametrize("bad", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_is_an_error(bad):
    with pytest.raises(ValueError, match="PEM"):
        expiry(bad)
