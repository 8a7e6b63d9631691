"""Reverse-paths and forward-paths.

Forms in which the default differs from the RFC's grammar are in `paths_leniency`.
"""

from tests.differential.row import ANY_CUT, MAIL, Row, one

SERVER = "usual"
CUTS = ANY_CUT

LOCAL_64 = "a" * 64
LABEL_63 = "b" * 63
DOMAIN_255 = ".".join([LABEL_63] * 3 + ["c" * 61, "d"])

# Mailboxes at example.com that both commands accept: the name, the path, the mailbox.
LOCAL_PARTS = {
    "letters": ("user", "user"),
    "one letter": ("a", "a"),
    "digits": ("12345", "12345"),
    "dots": ("first.middle.last", "first.middle.last"),
    "a hyphen in front": ("-user", "-user"),
    "a tag": ("user+tag", "user+tag"),
    "an equals sign": ("a=b", "a=b"),
    "a slash": ("a/b", "a/b"),
    "every other special character of atext": ("#$&'*+-/=?^_`{|}~", "#$&'*+-/=?^_`{|}~"),
    "capitals": ("User", "User"),
    "64 octets": (LOCAL_64, LOCAL_64),
    "quotes": ('"user"', "user"),
    "a quoted blank": ('"a b"', '"a b"'),
    "quoted dots": ('"a..b"', '"a..b"'),
    "a quoted dot in front": ('".a"', '".a"'),
    "quoted angle brackets": ('"a<b>c"', '"a<b>c"'),
    "a quoted comma": ('"a,b"', '"a,b"'),
    "a quoted colon": ('"a:b"', '"a:b"'),
    "a quoted semicolon": ('"a;b"', '"a;b"'),
    "quoted brackets": ('"a[b]"', '"a[b]"'),
    "quoted parentheses": ('"a(b)"', '"a(b)"'),
    "a quoted pair": (r'"a\bc"', "abc"),
    "a quoted pair of a quote": (r'"a\"b"', r'"a\"b"'),
    "a quoted pair of a backslash": (r'"a\\b"', r'"a\\b"'),
    "a quoted pair of a blank": (r'"a\ b"', '"a b"'),
    "a quoted blank in front": ('" a"', '" a"'),
    "empty quotes": ('""', '""'),
}
# Domains of senders. The mailbox is recorded as written.
DOMAINS = {
    "a domain of one label": "localhost",
    "a domain of many labels": "a.b.c.d.e.f.example",
    "a domain with hyphens": "a-b--c.example",
    "a domain of digits": "123.456.example",
    "an A-label": "xn--bcher-kva.example",
    "capitals in the domain": "Client.EXAMPLE",
    "a label of 63 octets": f"{LABEL_63}.example",
    "a domain of 255 octets": DOMAIN_255,
    "an IPv4 literal": "[192.0.2.1]",
    "an IPv6 literal": "[IPv6:2001:db8::1]",
    "a whole IPv6 literal": "[IPv6:2001:db8:1:2:3:4:5:6]",
    "an IPv6 literal with an IPv4 address": "[IPv6:::ffff:192.0.2.1]",
    "an IPv6 literal in capitals": "[IPV6:2001:DB8::1]",
    "a general literal": "[x-tag:content]",
}
# Mailboxes that neither command accepts, with the character or rule at fault.
BROKEN = {
    "no at sign": "user",
    "no local part": "@example.com",
    "no domain": "user@",
    "an at sign only": "@",
    "two at signs": "a@b@example.com",
    "an unquoted blank": "a b@example.com",
    "a blank in front": " user@example.com",
    "a blank at the end": "user@example.com ",
    "a blank in front of the at sign": "user @example.com",
    "a blank behind the at sign": "user@ example.com",
    "an unquoted comma": "a,b@example.com",
    "an unquoted colon": "a:b@example.com",
    "an unquoted semicolon": "a;b@example.com",
    "unquoted parentheses": "a(b)@example.com",
    "an unquoted backslash": r"a\b@example.com",
    "an unquoted bracket": "a[b@example.com",
    "an open quote": '"user@example.com',
    "a quote at the end": 'user"@example.com',
    "a quote within": 'a"b"c@example.com',
    "text behind the quotes": '"a"b@example.com',
    "quotes joined by a dot": '"a"."b"@example.com',
    "quotes that end with a backslash": '"a\\"@example.com',
    "a comment in front": "(comment)user@example.com",
    "a comment at the end": "user@example.com(comment)",
    "a hyphen in front of the domain": "user@-example.com",
    "a hyphen at the end of a label": "user@example-.com",
    "a hyphen at the end of the domain": "user@example.com-",
    "a dot in front of the domain": "user@.example.com",
    "a dollar sign in the domain": "user@exam$ple.com",
    "a quoted domain": 'user@"example.com"',
    "an IPv4 literal without brackets is open": "user@[192.0.2.1",
    "an IPv4 literal of three numbers": "user@[192.0.2]",
    "an IPv4 literal with a number over 255": "user@[192.0.2.256]",
    "an IPv4 literal with a sign": "user@[192.0.2.-1]",
    "an IPv4 literal with a blank": "user@[192.0.2.1 ]",
    "an IPv6 literal of nine groups": "user@[IPv6:1:2:3:4:5:6:7:8:9]",
    "an IPv6 literal of seven groups": "user@[IPv6:1:2:3:4:5:6:7]",
    "an IPv6 literal with two gaps": "user@[IPv6:1::2::3]",
    "an IPv6 literal with a group of five digits": "user@[IPv6:12345::1]",
    "an IPv6 literal with a zone": "user@[IPv6:fe80::1%eth0]",
    "an IPv6 literal without an address": "user@[IPv6:]",
    "an empty literal": "user@[]",
    "text behind a literal": "user@[192.0.2.1]x",
    "a literal of words": "user@[example]",
    "a local part of 257 characters": "a" * 257 + "@example.com",
    "a domain of 256 octets": f"user@{DOMAIN_255}e",
}
NOT_OWN = {
    "a quoted pair outside quotes": r"a\@b@example.com",
    "a group": "friends:user@example.com;",
    "a name in front": "User <user@example.com>",
}
# Arguments that are not paths: both commands refuse them.
ARGUMENTS = {
    "no closing bracket": "<user@example.com",
    "no opening bracket": "user@example.com>",
    "two pairs of brackets": "<<user@example.com>>",
    "two paths": "<user@example.com><other@example.com>",
    "two paths with a comma": "<user@example.com>,<other@example.com>",
    "no path": "",
    "a bracket only": "<",
    "brackets in the wrong order": ">user@example.com<",
    "text behind the path": "<user@example.com>x",
    "a name in front of the path": "User <user@example.com>",
    "a blank within the brackets only": "< >",
}
ROUTES = {
    "one host": "@one.example:",
    "two hosts": "@one.example,@two.example:",
    "three hosts": "@one.example,@two.example,@three.example:",
}
BROKEN_ROUTES = {
    "a route without a colon": "@one.example",
    "a route without an at sign": "one.example:",
    "a route with a blank": "@one.example, @two.example:",
    "a route with an empty host": "@:",
    "a route that ends with a comma": "@one.example,:",
    "a route of a broken host": "@-one.example:",
}
POSTMASTER_SECTION = "RFC 5321 4.1.1.3"


def both(name, section, argument, mail, rcpt, **more):
    """Yield the rows of one argument for MAIL and RCPT."""
    yield one(f"MAIL, {name}", section, f"MAIL FROM:{argument}", mail, **more)
    yield one(f"RCPT, {name}", section, f"RCPT TO:{argument}", rcpt, after=MAIL, **more)


def accepted(name, section, sender):
    """Return a row with a sender that must be recorded as written."""
    return Row(
        name,
        section,
        [
            (f"MAIL FROM:<{sender}>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b".\r\n", "250"),
        ],
        senders=[sender],
    )


ROWS = [
    *(
        Row(
            f"a mailbox with {name}",
            "RFC 5321 4.1.2",
            [
                (f"MAIL FROM:<{local}@example.com>", "250"),
                (f"RCPT TO:<{local}@example.com>", "250"),
                ("DATA", "354"),
                (b".\r\n", "250"),
            ],
            senders=[f"{kept}@example.com"],
            recipients=[f"{kept}@example.com"],
        )
        for name, (local, kept) in LOCAL_PARTS.items()
    ),
    *(
        accepted(
            f"a sender at {name}",
            "RFC 5321 4.1.3" if "[" in domain else "RFC 5321 4.1.2",
            f"a@{domain}",
        )
        for name, domain in DOMAINS.items()
    ),
    *(
        row
        for name, mailbox in (BROKEN | NOT_OWN).items()
        for row in both(name, "RFC 5321 4.1.2", f"<{mailbox}>", "5", "501")
    ),
    *(
        row
        for name, argument in ARGUMENTS.items()
        for row in both(name, "RFC 5321 4.1.1.2", argument, "501", "501")
    ),
    *(
        row
        for name, route in ROUTES.items()
        for row in both(
            f"a source route of {name}", "RFC 5321 C", f"<{route}user@example.com>", "250", "250"
        )
    ),
    *(
        row
        for name, route in BROKEN_ROUTES.items()
        for row in both(name, "RFC 5321 4.1.2", f"<{route}user@example.com>", "501", "501")
    ),
    Row(
        "a source route is dropped",
        "RFC 5321 3.3",
        [
            ("MAIL FROM:<@one.example,@two.example:a@client.example>", "250"),
            ("RCPT TO:<@one.example:b@example.com>", "250"),
            ("DATA", "354"),
            (b".\r\n", "250"),
        ],
        senders=["a@client.example"],
        recipients=["b@example.com"],
    ),
    one(
        "a source route does not relay",
        "RFC 5321 3.6.1",
        "RCPT TO:<@example.com:c@elsewhere.example>",
        "550",
        after=MAIL,
    ),
    accepted("the null reverse-path", "RFC 5321 4.5.5", ""),
    one("RCPT, the null path", "RFC 5321 4.1.1.3", "RCPT TO:<>", "501", after=MAIL),
    one(
        "postmaster without a domain", POSTMASTER_SECTION, "RCPT TO:<postmaster>", "250", after=MAIL
    ),
    one("Postmaster in capitals", POSTMASTER_SECTION, "RCPT TO:<POSTMASTER>", "250", after=MAIL),
    one(
        "postmaster at a local domain",
        "RFC 5321 4.5.1",
        "RCPT TO:<postmaster@example.com>",
        "250",
        after=MAIL,
    ),
    one(
        "MAIL, postmaster without a domain",
        "RFC 5321 4.1.2",
        "MAIL FROM:<postmaster>",
        "501",
        reason="Postfix adds its domain. RFC 5321 has this form in a forward-path only.",
    ),
    one(
        "another mailbox without a domain",
        "RFC 5321 4.1.1.3",
        "RCPT TO:<user>",
        "501",
        after=MAIL,
        reason="Postfix adds its domain.",
    ),
    one(
        "a domain of another server",
        "RFC 5321 3.6.2",
        "RCPT TO:<c@elsewhere.example>",
        "550",
        after=MAIL,
    ),
    one(
        "a subdomain of a local domain",
        "RFC 5321 3.6.2",
        "RCPT TO:<c@sub.example.com>",
        "550",
        after=MAIL,
    ),
    one("a local domain in capitals", "RFC 5321 2.4", "RCPT TO:<b@EXAMPLE.COM>", "250", after=MAIL),
    one(
        "a percent sign in the local part",
        "RFC 5321 3.6.1",
        "RCPT TO:<c%elsewhere.example@example.com>",
        "550",
        after=MAIL,
    ),
    one(
        "a bang in the local part",
        "RFC 5321 3.6.1",
        "RCPT TO:<elsewhere.example!c@example.com>",
        "550",
        after=MAIL,
    ),
    one(
        "a quoted at sign in the local part",
        "RFC 5321 3.6.1",
        'RCPT TO:<"c@elsewhere.example"@example.com>',
        "550",
        after=MAIL,
    ),
    one(
        "a literal of another host",
        "RFC 5321 4.1.3",
        "RCPT TO:<b@[198.51.100.7]>",
        "550",
        after=MAIL,
    ),
    one(
        "a literal that is not in the list of domains",
        "RFC 5321 4.1.3",
        "RCPT TO:<b@[192.0.2.25]>",
        "550",
        after=MAIL,
        reason="RFC 5321 lets a host accept its own literals. Postfix does; here the administrator"
        " lists them.",
    ),
    *both("a tab behind the path", "RFC 5321 4.1.2", "<user@example.com>\tSIZE=1", "50", "50"),
    *both(
        "an IPv6 literal without its tag",
        "RFC 5321 4.1.3",
        "<user@[2001:db8::1]>",
        "501",
        "501",
        reason="By the grammar 2001 is a tag, although only IPv6 is registered. Postfix refuses it"
        " too.",
    ),
    *both("a literal that starts with a colon", "RFC 5321 4.1.3", "<user@[::1]>", "501", "501"),
    # Internationalised addresses
    one("UTF-8 without SMTPUTF8", "RFC 6531 3.5", "MAIL FROM:<грета@client.example>", "553"),
    one("a UTF-8 domain without SMTPUTF8", "RFC 6531 3.5", "MAIL FROM:<a@bücher.example>", "553"),
    one("UTF-8 with SMTPUTF8", "RFC 6531 3.3", "MAIL FROM:<грета@bücher.example> SMTPUTF8", "250"),
    Row(
        "RCPT with UTF-8",
        "RFC 6531 3.3",
        [("MAIL FROM:<a@client.example> SMTPUTF8", "250"), ("RCPT TO:<грета@example.com>", "250")],
    ),
    one(
        "RCPT with UTF-8, MAIL without SMTPUTF8",
        "RFC 6531 3.5",
        "RCPT TO:<грета@example.com>",
        "553",
        after=MAIL,
    ),
    one("quoted UTF-8", "RFC 6531 3.3", 'MAIL FROM:<"a ü"@client.example> SMTPUTF8', "250"),
    one(
        "a quoted pair of UTF-8",
        "RFC 6531 3.3",
        'MAIL FROM:<"\\ü"@client.example> SMTPUTF8',
        "501",
        reason="RFC 6531 extends qtextSMTP only, not quoted-pairSMTP.",
    ),
    one("invalid UTF-8", "RFC 6531 3.3", b"MAIL FROM:<\xfc@client.example> SMTPUTF8\r\n", "50"),
    one(
        "an overlong encoding",
        "RFC 3629 3",
        b"MAIL FROM:<\xc0\xaf@client.example> SMTPUTF8\r\n",
        "50",
    ),
    one("a surrogate", "RFC 3629 3", b"MAIL FROM:<\xed\xa0\x80@client.example> SMTPUTF8\r\n", "50"),
    # Literals
    *both(
        "a literal with leading zeros",
        "RFC 5321 4.1.3",
        "<user@[192.0.002.1]>",
        "501",
        "501",
        reason="RFC 5321 allows them. Other programs read them as octal numbers.",
    ),
    *both("a literal with a fifth number", "RFC 5321 4.1.3", "<user@[192.0.2.1.5]>", "501", "501"),
    one(
        "quoted postmaster without a domain",
        POSTMASTER_SECTION,
        'RCPT TO:<"postmaster">',
        "501",
        after=MAIL,
    ),
    one(
        "postmaster with an at sign", POSTMASTER_SECTION, "RCPT TO:<postmaster@>", "501", after=MAIL
    ),
    one("abuse without a domain", POSTMASTER_SECTION, "RCPT TO:<abuse>", "501", after=MAIL),
]
