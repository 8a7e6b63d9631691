"""Parameters of MAIL and RCPT of every server: SIZE, BODY, SMTPUTF8, and unknown ones."""

from tests.differential.row import ANY_CUT, MAIL, Row, one

SERVER = "usual"
CUTS = ANY_CUT


def mail(name, section, parameters, replies, **more):
    return one(
        f"MAIL, {name}", section, f"MAIL FROM:<a@client.example>{parameters}", replies, **more
    )


def rcpt(name, section, parameters, replies, **more):
    return one(
        f"RCPT, {name}",
        section,
        f"RCPT TO:<b@example.com>{parameters}",
        replies,
        after=MAIL,
        **more,
    )


LENIENT = "The grammar has one SP. Postfix accepts more as well."
ROWS = [
    mail("SIZE", "RFC 1870 6.1", " SIZE=500", "250"),
    mail("SIZE of zero", "RFC 1870 6.1", " SIZE=0", "250"),
    mail("SIZE at the limit", "RFC 1870 6.1", " SIZE=1000", "250"),
    mail("SIZE over the limit", "RFC 1870 6.1", " SIZE=1001", "552"),
    mail("SIZE of 20 digits", "RFC 1870 3", " SIZE=99999999999999999999", "552"),
    mail("SIZE of 21 digits", "RFC 1870 3", " SIZE=100000000000000000000", "501"),
    mail("SIZE with zeros in front", "RFC 1870 3", " SIZE=00000500", "250"),
    mail("SIZE in lower case", "RFC 5321 4.1.1.11", " size=500", "250"),
    mail("SIZE without a value", "RFC 1870 3", " SIZE", "501"),
    mail("SIZE with an empty value", "RFC 1870 3", " SIZE=", "501"),
    mail("SIZE with a sign", "RFC 1870 3", " SIZE=-1", "501"),
    mail("SIZE with a plus sign", "RFC 1870 3", " SIZE=+1", "501"),
    mail("SIZE with letters", "RFC 1870 3", " SIZE=10k", "501"),
    mail("SIZE in hexadecimal", "RFC 1870 3", " SIZE=0x10", "501"),
    mail("SIZE with a fraction", "RFC 1870 3", " SIZE=1.5", "501"),
    mail("SIZE in other digits", "RFC 1870 3", " SIZE=٣", "5"),
    mail("SIZE twice", "RFC 5321 4.1.1.11", " SIZE=1 SIZE=1", "501"),
    mail("a blank in front of the equals sign", "RFC 5321 4.1.2", " SIZE =1", "5"),
    mail("a blank behind the equals sign", "RFC 5321 4.1.2", " SIZE= 1", "5"),
    mail("BODY=7BIT", "RFC 6152 3", " BODY=7BIT", "250"),
    mail("BODY=8BITMIME", "RFC 6152 3", " BODY=8BITMIME", "250"),
    mail("BODY in lower case", "RFC 6152 3", " body=8bitmime", "250"),
    mail(
        "BODY=BINARYMIME",
        "RFC 3030 3",
        " BODY=BINARYMIME",
        "501",
        reason="BINARYMIME is not offered. Stalwart and go-smtp have it.",
    ),
    mail("BODY with an unknown value", "RFC 6152 3", " BODY=9BIT", "501"),
    mail("BODY without a value", "RFC 6152 3", " BODY", "501"),
    mail("BODY with an empty value", "RFC 6152 3", " BODY=", "501"),
    mail("BODY twice", "RFC 5321 4.1.1.11", " BODY=7BIT BODY=8BITMIME", "501"),
    mail("SMTPUTF8", "RFC 6531 3.4", " SMTPUTF8", "250"),
    mail("SMTPUTF8 in lower case", "RFC 6531 3.4", " smtputf8", "250"),
    mail("SMTPUTF8 with a value", "RFC 6531 3.4", " SMTPUTF8=YES", "501"),
    mail("SMTPUTF8 twice", "RFC 5321 4.1.1.11", " SMTPUTF8 SMTPUTF8", "501"),
    mail("three parameters", "RFC 5321 4.1.1.11", " SIZE=10 BODY=8BITMIME SMTPUTF8", "250"),
    mail(
        "two blanks in front of a parameter", "RFC 5321 4.1.2", "  SIZE=10", "250", reason=LENIENT
    ),
    mail(
        "two blanks between parameters",
        "RFC 5321 4.1.2",
        " SIZE=10  BODY=7BIT",
        "250",
        reason=LENIENT,
    ),
    mail("a blank at the end", "RFC 5321 4.1.1", " SIZE=10 ", "250"),
    mail("a blank and no parameter", "RFC 5321 4.1.1", " ", "250"),
    mail("a parameter without a blank", "RFC 5321 4.1.2", "SIZE=10", "501"),
    mail("an unknown parameter", "RFC 5321 4.1.1.11", " XYZZY", "555"),
    mail("an unknown parameter with a value", "RFC 5321 4.1.1.11", " XYZZY=1", "555"),
    mail("an unknown parameter behind a known one", "RFC 5321 4.1.1.11", " SIZE=1 XYZZY", "555"),
    mail("an equals sign only", "RFC 5321 4.1.2", " =", "5"),
    mail("a value without a keyword", "RFC 5321 4.1.2", " =10", "5"),
    mail("two equals signs", "RFC 5321 4.1.2", " SIZE==10", "501"),
    mail("AUTH", "RFC 4954 5", " AUTH=<>", "555"),
    mail("NOTIFY", "RFC 3461 4.1", " NOTIFY=NEVER", "555"),
    mail(
        "REQUIRETLS",
        "RFC 8689 4",
        " REQUIRETLS",
        "555",
        reason="REQUIRETLS is not offered. Nodemailer's server and Stalwart have it.",
    ),
    mail("HOLDFOR", "RFC 4865 5", " HOLDFOR=60", "555"),
    mail("MT-PRIORITY", "RFC 6710 4", " MT-PRIORITY=3", "555"),
    mail("BY", "RFC 2852 4", " BY=120;R", "555"),
    mail("TRANSID", "RFC 1845 4", " TRANSID=<12345@client.example>", "555"),
    mail("SUBMITTER", "RFC 4405 3", " SUBMITTER=a@client.example", "555"),
    mail("a refused parameter behind the null path", "RFC 5321 4.1.1.11", " X=<>", "5"),
    rcpt("a blank at the end", "RFC 5321 4.1.1", " ", "250"),
    rcpt("an unknown parameter", "RFC 5321 4.1.1.11", " XYZZY", "555"),
    rcpt("SIZE", "RFC 1870 3", " SIZE=10", "555"),
    rcpt("BODY", "RFC 6152 3", " BODY=7BIT", "555"),
    rcpt("SMTPUTF8", "RFC 6531 3.4", " SMTPUTF8", "555"),
    rcpt(
        "RRVS",
        "RFC 7293 3",
        " RRVS=2014-04-03T23:01:00Z",
        "555",
        reason="RRVS is not offered. Go-smtp and Stalwart have it.",
    ),
    rcpt("a parameter without a blank", "RFC 5321 4.1.2", "XYZZY", "501"),
    Row(
        "a refused parameter opens no transaction",
        "RFC 5321 4.1.1.11",
        [("MAIL FROM:<a@client.example> XYZZY", "555"), ("RCPT TO:<b@example.com>", "503")],
    ),
    Row(
        "a refused SIZE opens no transaction",
        "RFC 1870 6.1",
        [("MAIL FROM:<a@client.example> SIZE=1001", "552"), ("RCPT TO:<b@example.com>", "503")],
    ),
    Row(
        "SMTPUTF8 lasts for one transaction",
        "RFC 6531 3.4",
        [
            ("MAIL FROM:<a@client.example> SMTPUTF8", "250"),
            ("RSET", "250"),
            ("MAIL FROM:<a@client.example>", "250"),
            ("RCPT TO:<грета@example.com>", "553"),
        ],
    ),
]
