"""The addresses that may get aggregate reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.dmarc.destinations import find_destinations
from gatepost.mailauth.zone import Zone, ask_zone


def found(rua, *consents):
    zone = {"_dmarc.client.example": [{"TXT": f"v=DMARC1; p=none; rua={rua}"}]}
    zone |= {f"client.example._report._dmarc.{host}": [{"TXT": "v=DMARC1"}] for host in consents}
    return ask_zone(find_destinations("client.example"), Zone(zone))


@pytest.mark.parametrize(
    ("rua", "address"),
    [
        ("mailto:r@client.example", "r@client.example"),
        ("MAILTO:r@reports.client.example", "r@reports.client.example"),
        ("mailto:r@client.example!10m", "r@client.example"),
        ("mailto:a%2Bb@client.example?subject=x", "a+b@client.example"),
    ],
)
def test_an_address_of_the_domain_gets_reports(rua, address):
    assert found(rua).addresses == (address,)


def test_an_address_of_another_domain_must_have_agreed():
    rua = "mailto:r@collector.example"
    assert found(rua).addresses == ()
    assert found(rua).problems == (
        "r@collector.example: collector.example has not agreed to get reports",
    )
    assert found(rua, "collector.example").addresses == ("r@collector.example",)
    assert found(rua, "other.example").addresses == ()


def test_the_first_addresses_are_used():
    rua = ",".join(f"mailto:r{number}@client.example" for number in range(5))
    assert found(rua).addresses == ("r0@client.example", "r1@client.example")


def test_other_schemes_are_left_out():
    result = found("https://client.example/r,mailto:r@client.example")
    assert result.addresses == ("r@client.example",)


@pytest.mark.parametrize("records", [[], [{"TXT": "junk"}], ["TIMEOUT"]])
def test_a_domain_without_a_record_gets_nothing(records):
    zone = Zone({"_dmarc.client.example": records} if records else {})
    result = ask_zone(find_destinations("client.example"), zone)
    assert result.addresses == ()
    assert len(result.problems) == 1


@given(st.text(max_size=60))
def test_any_rua_has_a_result(rua):
    zone = Zone({"_dmarc.client.example": [{"TXT": f"v=DMARC1; p=none; rua={rua}"}]})
    result = ask_zone(find_destinations("client.example"), zone)
    assert all("@" in one for one in result.addresses)
