"""The evaluation next to that of mailauth (npm), on random zones, records and identifiers.

mailauth 7.1 follows RFC 9989 too, and was written by others. Each case is evaluated by both.

Two differences are known, and left out:

- If every identifier is the author domain and it has a record, section 4.10.2 makes it the
  organizational domain without a walk. mailauth walks nevertheless, and reports the domain that the
  walk finds. The result is the same.
- An answer for `_dmarc.a.example` shows that a.example exists (RFC 8020). mailauth asks for
  a.example nevertheless, so without an answer its result is a temporary error.
"""

import json
import random
import subprocess

import pytest
from tools import peers

from gatepost.mailauth.dmarc import Identifier, evaluate
from gatepost.mailauth.zone import Zone, ask_zone

SCRIPT = r"""
const { evaluateDmarc } = require('mailauth/lib/dmarc');
const readline = require('node:readline');
const code = (name) => Object.assign(new Error(name), { code: name });
async function main() {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const { zone, author, spf, dkim } = JSON.parse(line);
        const below = name => Object.keys(zone).some(one => one.endsWith('.' + name));
        const resolver = async (name, type) => {
            const items = zone[name];
            if (!items) throw code(below(name) ? 'ENODATA' : 'ENOTFOUND');
            if (items.includes('TIMEOUT')) throw code('ETIMEOUT');
            const found = items.filter(one => one[type] !== undefined).map(one => one[type]);
            if (!found.length) throw code('ENODATA');
            return type === 'TXT' ? found.map(one => [one]) : found;
        };
        const { response } = await evaluateDmarc({
            headerFrom: ['a@' + author], spfDomains: spf.map(domain => ({ domain })),
            dkimDomains: dkim.map(domain => ({ domain })), resolver, arcResult: null
        });
        const result = response.status.result;
        console.log(JSON.stringify({
            result, policy: response.policy ?? null, domain: response.domain ?? null,
            at: response.policyDomain ?? null
        }));
    }
}
main();
"""

LABELS = ["a", "b", "x", "mail", "example", "org"]
TAGS = [
    *("p=none", "p=quarantine", "p=reject", "p=Reject", "p=wrong", "sp=none", "sp=reject"),
    *("np=none", "np=quarantine", "np=wrong", "adkim=s", "aspf=s", "adkim=r", "t=y", "t=n"),
    *("psd=y", "psd=n", "psd=u", "rua=mailto:d@example.org", "rua=nowhere", "pct=0", "text", ""),
]
STARTS = [
    *("v=DMARC1",) * 8,
    "v = DMARC1",
    "V=DMARC1",
    "v=dmarc1",
    "v=DMARC1x",
    "p=reject; v=DMARC1",
]


def random_name(dice, most=4):
    return ".".join([*dice.choices(LABELS, k=dice.randint(0, most)), *dice.choice(SUFFIXES)])


SUFFIXES = [
    ("example", "org"),
    ("x", "example", "org"),
    ("org",),
    ("b", "c", "d", "e", "f", "g", "org"),
]


def random_records(dice):
    if dice.random() < 0.06:
        return ["TIMEOUT"]
    return [random_record(dice) for _ in range(dice.choice([1, 1, 1, 1, 2]))]


def random_record(dice):
    # A tag occurs once: mailauth takes the last one of two, and we the first.
    tags = {tag.partition("=")[0]: tag for tag in dice.sample(TAGS, dice.randint(0, 5))}
    return {"TXT": dice.choice([";", "; ", " ;\t"]).join([dice.choice(STARTS), *tags.values()])}


def random_case(dice):
    author = random_name(dice)
    parents = [author.split(".", number)[-1] for number in range(author.count(".") + 1)]
    owners = dice.choices([*parents, random_name(dice)], k=dice.randint(0, 4))
    zone = {f"_dmarc.{name}": random_records(dice) for name in owners}
    if dice.random() < 0.5:
        may_fail = [] if f"_dmarc.{author}" in zone else ["TIMEOUT"]
        zone[author] = [dice.choice([{"A": "192.0.2.1"}, {"TXT": "text"}, *may_fail])]
    names = [*parents, random_name(dice), f"{dice.choice(LABELS)}.{author}"]
    return {
        "zone": zone,
        "author": author,
        "spf": dice.choices(names, k=dice.randint(0, 1)),
        "dkim": dice.choices(names, k=dice.randint(0, 3)),
    }


def found_by_us(case):
    identifiers = [
        *(Identifier("spf", domain) for domain in case["spf"]),
        *(Identifier("dkim", domain) for domain in case["dkim"]),
    ]
    return ask_zone(evaluate(case["author"], identifiers), Zone(case["zone"]))


def difference(case, ours, theirs):
    """Return why the results may differ, "" if they are the same."""
    if ours.result != theirs["result"]:
        return "result"
    if ours.result in ("pass", "fail") and ours.policy != theirs["policy"]:
        return "policy"
    if ours.result == "fail" and ours.record_domain != theirs["at"]:
        return "place of the record"
    known = ours.organizational_domain and {*case["spf"], *case["dkim"]} != {case["author"]}
    if known and ours.organizational_domain != theirs["domain"]:
        return "organizational domain"
    return ""


@pytest.mark.parametrize("seed", range(4))
def test_random_cases_have_the_result_of_mailauth(seed):
    command = peers.find("mailauth")
    if command is None:
        pytest.skip(f"mailauth: {peers.missing(['mailauth'])['mailauth']}")
    dice = random.Random(seed)
    cases = [random_case(dice) for _ in range(1000)]
    done = subprocess.run(
        command.argv("-e", SCRIPT),
        env=command.env,
        input="".join(json.dumps(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(cases)
    differences = []
    for case, other in zip(cases, theirs, strict=True):
        ours = found_by_us(case)
        why = difference(case, ours, other)
        if why:
            differences.append((why, case, other, ours))
    assert differences == []
