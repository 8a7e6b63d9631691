"""Parameters of DSN (RFC 3461), for a client on this machine that has not authenticated."""

from tests.differential.row import ANY_CUT, MAIL, Row, one

SERVER = "local client"
CUTS = ANY_CUT


def mail(name, section, parameters, replies, **more):
    return one(
        f"MAIL, {name}", section, f"MAIL FROM:<a@client.example> {parameters}", replies, **more
    )


def rcpt(name, section, parameters, replies, **more):
    return one(
        f"RCPT, {name}",
        section,
        f"RCPT TO:<b@example.com> {parameters}",
        replies,
        after=MAIL,
        **more,
    )


ROWS = [
    mail("RET=FULL", "RFC 3461 4.3", "RET=FULL", "250"),
    mail("RET=HDRS", "RFC 3461 4.3", "RET=HDRS", "250"),
    mail("RET in lower case", "RFC 3461 4.3", "ret=hdrs", "250"),
    mail("RET with an unknown value", "RFC 3461 4.3", "RET=BODY", "501"),
    mail("RET with two values", "RFC 3461 4.3", "RET=FULL,HDRS", "501"),
    mail("RET without a value", "RFC 3461 4.3", "RET", "501"),
    mail("RET twice", "RFC 3461 4.3", "RET=FULL RET=HDRS", "501"),
    mail("ENVID", "RFC 3461 4.4", "ENVID=QQ314159", "250"),
    mail("ENVID in xtext", "RFC 3461 4.4", "ENVID=a+2Bb+3Dc", "250"),
    mail("ENVID of 100 characters", "RFC 3461 4.4", "ENVID=" + "x" * 100, "250"),
    mail("ENVID with a broken escape", "RFC 3461 4.4", "ENVID=a+2", "501"),
    mail(
        "ENVID with lower-case digits",
        "RFC 3461 4",
        "ENVID=a+2b",
        "501",
        reason="RFC 3461 section 4 requires capitals. Postfix accepts both.",
    ),
    mail("ENVID with an equals sign", "RFC 3461 4", "ENVID=a=b", "501"),
    mail("ENVID with a control character", "RFC 3461 4.4", "ENVID=a+0D+0Ab", "501"),
    mail("ENVID without a value", "RFC 3461 4.4", "ENVID", "501"),
    mail("ENVID with an empty value", "RFC 3461 4.4", "ENVID=", "501"),
    mail("ENVID twice", "RFC 3461 4.4", "ENVID=a ENVID=b", "501"),
    mail("RET and ENVID", "RFC 3461 4.3", "RET=HDRS ENVID=abc", "250"),
    mail("NOTIFY is no parameter of MAIL", "RFC 3461 4.1", "NOTIFY=NEVER", "555"),
    rcpt("NOTIFY=NEVER", "RFC 3461 4.1", "NOTIFY=NEVER", "250"),
    rcpt("NOTIFY=FAILURE", "RFC 3461 4.1", "NOTIFY=FAILURE", "250"),
    rcpt("NOTIFY=DELAY", "RFC 3461 4.1", "NOTIFY=DELAY", "250"),
    rcpt("NOTIFY=SUCCESS", "RFC 3461 4.1", "NOTIFY=SUCCESS", "250"),
    rcpt("three values", "RFC 3461 4.1", "NOTIFY=SUCCESS,FAILURE,DELAY", "250"),
    rcpt("NOTIFY in lower case", "RFC 3461 4.1", "notify=failure,delay", "250"),
    rcpt("NEVER with another value", "RFC 3461 4.1", "NOTIFY=NEVER,FAILURE", "501"),
    rcpt("NEVER in the second place", "RFC 3461 4.1", "NOTIFY=FAILURE,NEVER", "501"),
    rcpt("NOTIFY with an unknown value", "RFC 3461 4.1", "NOTIFY=ALWAYS", "501"),
    rcpt("NOTIFY without a value", "RFC 3461 4.1", "NOTIFY", "501"),
    rcpt("NOTIFY with an empty value", "RFC 3461 4.1", "NOTIFY=", "501"),
    rcpt("NOTIFY that ends with a comma", "RFC 3461 4.1", "NOTIFY=FAILURE,", "501"),
    rcpt("NOTIFY with a blank", "RFC 3461 4.1", "NOTIFY=FAILURE, DELAY", "5"),
    rcpt("NOTIFY twice", "RFC 3461 4.1", "NOTIFY=FAILURE NOTIFY=DELAY", "501"),
    rcpt("ORCPT", "RFC 3461 4.2", "ORCPT=rfc822;b@example.com", "250"),
    rcpt("ORCPT of another type", "RFC 3461 4.2", "ORCPT=x400;abc", "250"),
    rcpt("ORCPT in xtext", "RFC 3461 4.2", "ORCPT=rfc822;b+2Btag@example.com", "250"),
    rcpt("ORCPT with a type in capitals", "RFC 3461 4.2", "ORCPT=RFC822;b@example.com", "250"),
    rcpt(
        "ORCPT without a type",
        "RFC 3461 4.2",
        "ORCPT=b@example.com",
        "501",
        reason="Postfix refuses it as well. Exim does not read the value.",
    ),
    rcpt("ORCPT with an empty type", "RFC 3461 4.2", "ORCPT=;b@example.com", "501"),
    rcpt("ORCPT with a broken escape", "RFC 3461 4.2", "ORCPT=rfc822;b+2@example.com", "501"),
    rcpt("ORCPT with a control character", "RFC 3461 4.2", "ORCPT=rfc822;b+0A@example.com", "501"),
    rcpt("ORCPT without a value", "RFC 3461 4.2", "ORCPT", "501"),
    rcpt("ORCPT twice", "RFC 3461 4.2", "ORCPT=rfc822;a ORCPT=rfc822;b", "501"),
    rcpt("ORCPT and NOTIFY", "RFC 3461 4.1", "NOTIFY=FAILURE ORCPT=rfc822;b@example.com", "250"),
    rcpt(
        "ORCPT of the type utf-8 in 7 bits",
        "RFC 6533 3",
        "ORCPT=utf-8;gr\\x{FC}n@example.com",
        "250",
    ),
    rcpt("RET is no parameter of RCPT", "RFC 3461 4.3", "RET=FULL", "555"),
    Row(
        "DSN with all parameters",
        "RFC 3461 4",
        [
            ("MAIL FROM:<a@client.example> SIZE=10 RET=HDRS ENVID=a BODY=8BITMIME", "250"),
            ("RCPT TO:<b@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@example.com", "250"),
            ("DATA", "354"),
            (b"a\r\n.\r\n", "250"),
        ],
    ),
    Row(
        "HELO and parameters of DSN",
        "RFC 3461 4",
        [("HELO client.example", "250"), ("MAIL FROM:<> RET=HDRS", "250")],
        (),
        only="smtp",
    ),
    mail(
        "ENVID of 101 characters",
        "RFC 3461 4.4",
        "ENVID=" + "x" * 101,
        "501",
        reason="Postfix accepts longer values.",
    ),
    mail("ENVID of 102 characters in xtext", "RFC 3461 4.4", "ENVID=" + "+2B" * 34, "501"),
    mail("ENVID of 99 characters in xtext", "RFC 3461 4.4", "ENVID=" + "+2B" * 33, "250"),
    rcpt("ORCPT of 500 characters", "RFC 3461 4.2", "ORCPT=rfc822;" + "x" * 493, "250"),
    rcpt(
        "ORCPT of 501 characters",
        "RFC 3461 4.2",
        "ORCPT=rfc822;" + "x" * 494,
        "501",
        reason="Postfix accepts longer values.",
    ),
    rcpt("ORCPT in UTF-8 without SMTPUTF8", "RFC 6533 3", "ORCPT=utf-8;gr\u00fcn@example.com", "5"),
    Row(
        "ORCPT in UTF-8 with SMTPUTF8",
        "RFC 6533 3",
        [
            ("MAIL FROM:<a@client.example> SMTPUTF8", "250"),
            ("RCPT TO:<b@example.com> ORCPT=utf-8;gr\u00fcn@example.com", "250"),
        ],
    ),
    rcpt(
        "ORCPT of the type rfc822 in UTF-8", "RFC 6533 3", "ORCPT=rfc822;gr\u00fcn@example.com", "5"
    ),
    rcpt(
        "NOTIFY with FAILURE twice",
        "RFC 3461 4.1",
        "NOTIFY=FAILURE,FAILURE",
        "250",
        reason="The grammar allows it.",
    ),
]
