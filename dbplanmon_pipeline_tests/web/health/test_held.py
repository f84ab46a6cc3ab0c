"""Answers that take a while: one thread finds out, everybody gets it, and what hangs holds one thread."""

import asyncio
import threading
import time

import pytest

from dbplanmon_pipeline.web.held import Held


class Slow:
    """Counts how often it is asked, and waits until it may answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()

    def __call__(self) -> int:
        self.asked += 1
        self.may_answer.wait(30)
        return self.asked


def aged(held: Held, seconds: float) -> None:
    answer = held.answer
    held._answer = type(answer)(answer.value, answer.at - seconds, answer.seconds)


def test_a_hundred_who_ask_at_once_cost_one_question():
    slow = Slow()
    held = Held("slow", slow)

    async def ask_all() -> list:
        asking = [asyncio.create_task(held.get(10)) for _ in range(100)]
        await asyncio.sleep(0.05)
        slow.may_answer.set()
        return await asyncio.gather(*asking)

    answers = asyncio.run(ask_all())
    assert slow.asked == 1
    assert {answer.value for answer in answers} == {1}


def test_what_hangs_holds_one_thread_and_nobody_for_long():
    slow = Slow()
    held = Held("hanging", slow)
    before = threading.active_count()
    for _ in range(5):
        assert asyncio.run(held.get(0.05)) is None
    assert (slow.asked, threading.active_count() - before) == (1, 1)
    assert held.running_seconds > 0.05
    slow.may_answer.set()
    held.settle(10)
    assert asyncio.run(held.get(10)).value == 1


def test_an_answer_that_is_a_little_old_is_given_while_a_new_one_is_found():
    slow = Slow()
    slow.may_answer.set()
    held = Held("stale", slow, keep_seconds=5)
    assert asyncio.run(held.get(10)).value == 1
    slow.may_answer.clear()
    aged(held, 20)
    assert asyncio.run(held.get(10)).value == 1
    assert slow.asked == 2
    slow.may_answer.set()
    held.settle(10)
    assert held.answer.value == 2


def test_an_answer_that_is_too_old_is_waited_for():
    slow = Slow()
    slow.may_answer.set()
    held = Held("old", slow, keep_seconds=5)
    asyncio.run(held.get(10))
    aged(held, 3600)
    assert asyncio.run(held.get(10)).value == 2


def test_what_takes_long_is_asked_less_often():
    held = Held("dear", lambda: time.sleep(0.2), keep_seconds=1)
    asyncio.run(held.get(10))
    aged(held, 3)
    assert held.is_fresh()
    aged(held, 3)
    assert not held.is_fresh()


def test_a_failure_is_no_answer_and_the_next_one_may_succeed():
    outcomes = iter([ValueError("away"), 7])

    def find() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    held = Held("failing", find)
    with pytest.raises(ValueError, match="away"):
        held.ask().result(10)
    assert asyncio.run(held.get(10)).value == 7
