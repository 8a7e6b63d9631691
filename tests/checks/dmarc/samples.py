"""Transactions of the ledger as the plugins spf, dkim and dmarc make them."""

from gatepost.ledger.records import Client, PluginResult, Transaction

MORNING = 1_795_939_200.0  # 2026-11-29 08:00 UTC
POLICY = {
    "domain": "shop.example.org",
    "organizational_domain": "example.org",
    "policy": "reject",
    "record": "example.org",
    "published": "v=DMARC1; p=reject; sp=none; adkim=s",
    "rua": "mailto:reports@example.org",
    "spf": "fail",
    "dkim": "fail",
}


def transaction(
    value="fail", result="accepted", address="192.0.2.1", time=MORNING, spf="softfail", **facts
):
    """Return a transaction; `facts` are those of DMARC that differ."""
    own = POLICY | ({"disposition": "reject"} if value == "fail" else {"dkim": "pass"}) | facts
    return Transaction(
        time,
        "ebebdad2-1.1",
        "ebebdad2-1",
        Client(address),
        "bounce@esp.example",
        result=result,
        results=(
            PluginResult("spf", spf, facts={"domain": "esp.example"}),
            PluginResult("dkim", "none", reason="no signature"),
            PluginResult("dkim", "fail", facts={"domain": "esp.example", "selector": "s2"}),
            PluginResult("dkim", "pass", facts={"domain": "example.org", "selector": "s1"}),
            PluginResult("dmarc", value, facts=own),
        ),
    )
