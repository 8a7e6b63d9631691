"""The recipe for limits on senders."""

from examples.sender_rate import SenderRate

from gatepost.testing import play

OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
"""


def mail(sender, *replies):
    rcpts = "".join(
        f"C: RCPT TO:<user{number}@example.com>\nS: {reply}\n"
        for number, reply in enumerate(replies)
    )
    return f"C: MAIL FROM:<{sender}>\nS: 250\n{rcpts}C: RSET\nS: 250\n"


def test_recipients_over_the_limit_are_deferred():
    plugin = SenderRate(recipients=3, period="1h")
    later = "450 4.7.1 too many recipients, try again in 1200 seconds"
    others = mail("b@client.example", 250)
    again = f"T: 20m\n{mail('a@client.example', 250, 450)}"
    play(f"{OPEN}{mail('a@client.example', 250, 250, 250, later)}{others}{again}", [plugin])
