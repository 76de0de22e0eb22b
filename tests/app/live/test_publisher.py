"""Publishing: who subscribed gets every item, in order, until the subscription ends."""

from __future__ import annotations

from app.live.publisher import Publisher


def test_subscribers_get_what_is_published_while_they_are_subscribed() -> None:
    numbers: Publisher[int] = Publisher()
    early: list[int] = []
    late: list[int] = []
    numbers.subscribe(early.append)
    numbers.publish(1)
    numbers.subscribe(late.append)
    numbers.publish(2)
    numbers.unsubscribe(early.append)
    numbers.publish(3)
    assert (early, late) == ([1, 2], [2, 3])


def test_a_subscriber_may_end_its_subscription_while_it_is_called() -> None:
    numbers: Publisher[int] = Publisher()
    others: list[int] = []

    def once(number: int) -> None:
        numbers.unsubscribe(once)

    numbers.subscribe(once)
    numbers.subscribe(others.append)
    numbers.publish(1)
    numbers.publish(2)
    assert others == [1, 2]


def test_a_subscription_that_does_not_exist_is_no_error() -> None:
    Publisher[int]().unsubscribe([].append)
