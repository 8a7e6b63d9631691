"""AUTH (RFC 4954) with PLAIN, LOGIN and SCRAM-SHA-256. The user is alice, the password secret."""

from base64 import b64encode

from tests.differential.row import IN_STEPS, MAIL, RCPT, READY, START, Row, one

SERVER = "auth"
CUTS = IN_STEPS


def b64(data):
    return b64encode(data).decode()


def plain(user, password=b"secret", authzid=b""):
    return b64(b"\0".join((authzid, user, password)))


RIGHT = plain(b"alice")
WRONG = plain(b"alice", b"guess")
USER, PASSWORD = b64(b"alice"), b64(b"secret")
WELCOME = (*READY, (f"AUTH PLAIN {RIGHT}", "235"))
CONTINUED = (*READY, ("AUTH PLAIN", "334"))
LOGIN_USER = (*READY, ("AUTH LOGIN", "334"))
LOGIN_PASSWORD = (*LOGIN_USER, (USER, "334"))
SCRAM = (*READY, (f"AUTH SCRAM-SHA-256 {b64(b'n,,n=alice,r=nonce')}", "334"))

NOT_BASE64 = {
    "no base64": "!!!!",
    "base64 with a bad length": "AGE",
    "base64 with too much padding": "AGE===",
    "base64 with padding in the middle": "AG=EAYg=",
    "base64 of URLs": "AG-_",
    "base64 with UTF-8": "AGüE",
}
PLAIN = {
    "no NUL": b"alice secret",
    "one NUL": b"alice\0secret",
    "three NULs": b"\0alice\0secret\0",
    "an empty message": b"",
    "NULs only": b"\0\0",
    "no user": b"\0\0secret",
    "octets that are not UTF-8": b"\0\xff\xfe\0secret",
}
FIRST = {
    "an empty message": b"",
    "no header": b"n=alice,r=nonce",
    "a broken flag": b"x,,n=alice,r=nonce",
    "a missing nonce": b"n,,n=alice",
    "an empty nonce": b"n,,n=alice,r=",
    "a mandatory extension": b"n,,m=ext,n=alice,r=nonce",
    "fields in the wrong order": b"n,,r=nonce,n=alice",
    "a broken escape in the name": b"n,,n=al=ice,r=nonce",
    "channel binding that is not offered": b"p=tls-unique,,n=alice,r=nonce",
    "octets that are not UTF-8": b"n,,n=\xff,r=nonce",
}
FINAL = {
    "an empty message": b"",
    "no proof": b"c=biws,r=nonce",
    "another nonce": b"c=biws,r=other,p=AAAA",
    "a proof that is not base64": b"c=biws,r=nonce,p=!",
    "a NUL": b"\0",
}

ROWS = [
    one("PLAIN with an initial response", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "235"),
    one("PLAIN in lower case", "RFC 4422 3.1", f"auth plain {RIGHT}", "235"),
    one("PLAIN after a challenge", "RFC 4954 4", RIGHT, "235", after=CONTINUED),
    one("a wrong password", "RFC 4954 6", f"AUTH PLAIN {WRONG}", "535"),
    one("a wrong password after a challenge", "RFC 4954 6", WRONG, "535", after=CONTINUED),
    one("an unknown user", "RFC 4954 6", f"AUTH PLAIN {plain(b'bob')}", "535"),
    one(
        "PLAIN with the same authorisation identity",
        "RFC 4616 2",
        f"AUTH PLAIN {plain(b'alice', authzid=b'alice')}",
        "235",
    ),
    one(
        "PLAIN for another authorisation identity",
        "RFC 4616 2",
        f"AUTH PLAIN {plain(b'alice', authzid=b'root')}",
        "535",
    ),
    *(
        one(f"PLAIN with {name}", "RFC 4616 2", f"AUTH PLAIN {b64(data) or '='}", "5")
        for name, data in PLAIN.items()
    ),
    one("LOGIN", "RFC 4954 4", PASSWORD, "235", after=LOGIN_PASSWORD),
    Row(
        "LOGIN with an initial response",
        "RFC 4954 4",
        [(f"AUTH LOGIN {USER}", "334"), (PASSWORD, "235")],
    ),
    one("LOGIN with a wrong password", "RFC 4954 6", b64(b"guess"), "535", after=LOGIN_PASSWORD),
    one("LOGIN with an empty password", "RFC 4954 4", "", "5", after=LOGIN_PASSWORD),
    one("LOGIN cancelled at the user", "RFC 4954 4", "*", "501", after=LOGIN_USER),
    one("LOGIN cancelled at the password", "RFC 4954 4", "*", "501", after=LOGIN_PASSWORD),
    one("PLAIN cancelled", "RFC 4954 4", "*", "501", after=CONTINUED),
    one("SCRAM cancelled", "RFC 4954 4", "*", "501", after=SCRAM),
    *(
        one(
            f"SCRAM that starts with {name}",
            "RFC 5802 7",
            f"AUTH SCRAM-SHA-256 {b64(data) or '='}",
            "5",
        )
        for name, data in FIRST.items()
    ),
    *(
        one(f"SCRAM that ends with {name}", "RFC 5802 7", b64(data), "5", after=SCRAM)
        for name, data in FINAL.items()
    ),
    one("SCRAM without an initial response", "RFC 5802 5", "AUTH SCRAM-SHA-256", "334"),
    one(
        "SCRAM of a client that supports channel binding",
        "RFC 5802 6",
        f"AUTH SCRAM-SHA-256 {b64(b'y,,n=alice,r=nonce')}",
        "334",
    ),
    one(
        "SCRAM of an unknown user has a challenge",
        "RFC 5802 9",
        f"AUTH SCRAM-SHA-256 {b64(b'n,,n=bob,r=nonce')}",
        "334",
    ),
    # The command
    one("no mechanism", "RFC 4954 4", "AUTH", "501"),
    one("a blank and no mechanism", "RFC 4954 4", "AUTH ", "501"),
    one("an unknown mechanism", "RFC 4954 4", "AUTH XYZZY", "504"),
    one("CRAM-MD5 is not offered", "RFC 4954 4", "AUTH CRAM-MD5", "504"),
    one("EXTERNAL is not offered", "RFC 4954 4", "AUTH EXTERNAL =", "504"),
    one("ANONYMOUS is not offered", "RFC 4954 4", "AUTH ANONYMOUS", "504"),
    one("XOAUTH2 is not offered", "RFC 4954 4", "AUTH XOAUTH2 AAAA", "504"),
    one("two initial responses", "RFC 4954 4", f"AUTH PLAIN {RIGHT} {RIGHT}", "501"),
    one(
        "an equals sign in place of a blank",
        "RFC 4954 4",
        f"AUTH=PLAIN {RIGHT}",
        "500",
        reason="An old form that some servers list in EHLO. No server has to accept it.",
    ),
    one("a mechanism of 21 letters", "RFC 4422 3.1", "AUTH " + "X" * 21, "50"),
    *(
        one(f"an initial response with {name}", "RFC 4954 4", f"AUTH PLAIN {text}", "501")
        for name, text in NOT_BASE64.items()
    ),
    *(
        one(f"a response with {name}", "RFC 4954 4", text, "501", after=CONTINUED)
        for name, text in NOT_BASE64.items()
    ),
    one("a response with a blank", "RFC 4954 4", f"{RIGHT} ", "501", after=CONTINUED),
    one(
        "a response in two words", "RFC 4954 4", f"{RIGHT[:4]} {RIGHT[4:]}", "501", after=CONTINUED
    ),
    one("a command in place of a response", "RFC 4954 4", "RSET :", "501", after=CONTINUED),
    one("an empty response", "RFC 4954 4", "", "5", after=CONTINUED),
    one("a response of 12,287 octets", "RFC 4954 4", "A" * 12284, "5", after=CONTINUED),
    one("a response over the limit", "RFC 4954 4", "A" * 12400, "500 close", after=CONTINUED),
    one(
        "a response with a bare LF",
        "RFC 5321 2.3.8",
        RIGHT.encode() + b"\nNOOP\r\n",
        "5 close",
        after=CONTINUED,
    ),
    Row(
        "the session goes on after a cancelled exchange",
        "RFC 4954 4",
        [("*", "501"), (f"AUTH PLAIN {RIGHT}", "235")],
        CONTINUED,
    ),
    Row(
        "the session goes on after a wrong password",
        "RFC 4954 4",
        [(f"AUTH PLAIN {WRONG}", "535"), ("MAIL FROM:<>", "250")],
    ),
    Row(
        "too many wrong passwords",
        "RFC 4954 4",
        [
            (f"AUTH PLAIN {WRONG}", "535"),
            (f"AUTH PLAIN {WRONG}", "535"),
            (f"AUTH PLAIN {WRONG}", "421 close"),
        ],
    ),
    # Order
    one("AUTH before EHLO", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "503", after=START),
    one("AUTH after AUTH", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "503", after=WELCOME),
    one("AUTH of another mechanism after AUTH", "RFC 4954 4", "AUTH LOGIN", "503", after=WELCOME),
    one("AUTH after MAIL", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "503", after=MAIL),
    one("AUTH after RCPT", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "503", after=RCPT),
    Row(
        "AUTH after EHLO again",
        "RFC 4954 4",
        [("EHLO client.example", "250"), (f"AUTH PLAIN {RIGHT}", "503")],
        WELCOME,
        reason="Some servers end the authentication with EHLO. RFC 4954 allows one per session.",
    ),
    Row(
        "AUTH after RSET", "RFC 4954 4", [("RSET", "250"), (f"AUTH PLAIN {RIGHT}", "503")], WELCOME
    ),
    Row(
        "mail without AUTH",
        "RFC 4954 6",
        [("MAIL FROM:<a@client.example>", "250"), ("RCPT TO:<b@example.com>", "250")],
        reason="The server is an MX. It requires AUTH only to relay.",
    ),
    # AUTH=
    one("MAIL with AUTH", "RFC 4954 5", "MAIL FROM:<> AUTH=a@client.example", "250", after=WELCOME),
    one(
        "MAIL with an unknown submitter",
        "RFC 4954 5",
        "MAIL FROM:<> AUTH=<>",
        "250",
        after=WELCOME,
    ),
    one(
        "MAIL with AUTH in xtext",
        "RFC 4954 5",
        "MAIL FROM:<> AUTH=a+3Db@client.example",
        "250",
        after=WELCOME,
    ),
    one(
        "MAIL with AUTH and broken xtext",
        "RFC 4954 5",
        "MAIL FROM:<> AUTH=a+3",
        "501",
        after=WELCOME,
    ),
    one("MAIL with AUTH and no value", "RFC 4954 5", "MAIL FROM:<> AUTH", "501", after=WELCOME),
    one(
        "MAIL with AUTH before authentication",
        "RFC 4954 5",
        "MAIL FROM:<> AUTH=<>",
        "250",
        reason="The value is not used, so it is harmless.",
    ),
    one("RCPT with AUTH", "RFC 4954 5", "RCPT TO:<b@example.com> AUTH=<>", "555", after=MAIL),
    Row(
        "AUTH after HELO",
        "RFC 4954 4",
        [("HELO client.example", "250"), (f"AUTH PLAIN {RIGHT}", "235")],
        START,
        only="smtp",
        reason="RFC 4954 expects EHLO. Postfix accepts AUTH after HELO as well.",
    ),
]
