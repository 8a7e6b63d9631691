"""Busy connections share the event loop: a round is bounded, and every connection gets its turn."""

from gatepost.net.turns import ROUND, TURN, Turns


class Loop:
    """An event loop that runs one callback at a time."""

    def __init__(self):
        self.callbacks = []

    def call_soon(self, callback):
        self.callbacks.append(callback)
        return callback

    def step(self):
        self.callbacks.pop(0)()


class Busy:
    """A connection with work for a number of turns."""

    def __init__(self, turns, work, cost=TURN):
        self.turns, self.left, self.cost, self.taken = turns, work, cost, 0
        turns.add(self)

    def turn(self):
        self.taken += 1
        self.left -= 1
        if self.left:
            self.turns.add(self)
        return self.cost


def test_round_is_bounded_and_the_next_one_serves_the_others():
    loop = Loop()
    turns = Turns(loop)
    busy = [Busy(turns, 3) for _ in range(10)]
    assert len(loop.callbacks) == 1
    loop.step()
    assert [one.taken for one in busy] == [1] * (ROUND // TURN) + [0] * (10 - ROUND // TURN)
    for _ in range(2):
        loop.step()
    assert [one.taken for one in busy] == [2] * 2 + [1] * 8


def test_no_callback_remains_when_the_queue_is_empty():
    loop = Loop()
    turns = Turns(loop)
    busy = Busy(turns, 5)
    while loop.callbacks:
        loop.step()
    assert busy.taken == 5
    assert turns.count == 5
    Busy(turns, 1)
    assert len(loop.callbacks) == 1


def test_cheap_turns_do_not_repeat_within_a_round():
    loop = Loop()
    turns = Turns(loop)
    busy = Busy(turns, 5, cost=0)
    loop.step()
    assert busy.taken == 1
