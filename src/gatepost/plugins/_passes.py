"""The number of times that a message has passed this server, by its Received fields.

Trust: anyone can add such fields, which only makes their own message look like a loop.
"""

from gatepost import Message


def passes(message: Message, hostname: str) -> int:
    """Return how often this server has received a message before."""
    mark = f" by {hostname} (Gatepost) "
    return sum(mark in one for one in message.headers().get_all("Received"))
