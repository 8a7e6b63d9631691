"""The codes of the milter protocol: commands, responses, actions and steps.

The protocol has no RFC. Its definition is Sendmail's library libmilter, version 2 to 6.
"""

from typing import Final

# Commands of the mail server.
NEGOTIATE: Final = b"O"
MACROS: Final = b"D"
CONNECT: Final = b"C"
HELO: Final = b"H"
MAIL: Final = b"M"
RCPT: Final = b"R"
DATA: Final = b"T"
HEADER: Final = b"L"
END_OF_HEADERS: Final = b"N"
BODY: Final = b"B"
END_OF_MESSAGE: Final = b"E"
ABORT: Final = b"A"
UNKNOWN: Final = b"U"
QUIT: Final = b"Q"
# The connection is used for another client.
QUIT_AND_REUSE: Final = b"K"

# Responses.
CONTINUE: Final = b"c"
DISCARD: Final = b"d"
REPLY: Final = b"y"
SKIP: Final = b"s"
PROGRESS: Final = b"p"
# Responses that change the message, before the last one.
ADD_HEADER: Final = b"h"
INSERT_HEADER: Final = b"i"
CHANGE_HEADER: Final = b"m"
CHANGE_SENDER: Final = b"e"
ADD_RECIPIENT: Final = b"+"
ADD_RECIPIENT_WITH_PARAMS: Final = b"2"
DELETE_RECIPIENT: Final = b"-"
REPLACE_BODY: Final = b"b"
QUARANTINE: Final = b"q"

# Actions: what the filter may do.
CAN_ADD_HEADERS: Final = 0x01
CAN_CHANGE_BODY: Final = 0x02
CAN_ADD_RECIPIENTS: Final = 0x04
CAN_DELETE_RECIPIENTS: Final = 0x08
CAN_CHANGE_HEADERS: Final = 0x10
CAN_QUARANTINE: Final = 0x20
CAN_CHANGE_SENDER: Final = 0x40
CAN_ADD_RECIPIENTS_WITH_PARAMS: Final = 0x80
CAN_CHOOSE_MACROS: Final = 0x100

# Steps: what the mail server leaves out, and what it does not expect a response to.
NO_BODY: Final = 0x10
SILENT_HEADERS: Final = 0x80
NO_UNKNOWN: Final = 0x100
CAN_SKIP: Final = 0x400
REFUSED_RECIPIENTS: Final = 0x800
SILENT_CONNECT: Final = 0x1000
SILENT_HELO: Final = 0x2000
LEADING_SPACE: Final = 0x100000

# The first version that has DATA.
WITH_DATA: Final = 4

# The largest packet: header fields have up to 100 KiB in practice, pieces of a body 64 KiB.
MAX_PACKET: Final = 1024 * 1024
# The largest packet with macros.
MAX_MACROS: Final = 64 * 1024
# The largest piece of a body that every mail server takes.
BODY_PIECE: Final = 65535
