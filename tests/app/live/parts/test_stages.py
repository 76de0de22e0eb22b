"""The threads of a session: every error is reported once, and nothing starts that nobody would stop."""

from __future__ import annotations

import threading

import pytest

from acquisition.streams.channel import Stage
from app.live.parts.device_queue import DeviceQueue
from app.live.parts.errors import SessionError
from app.live.parts.stages import Stages
from app.status import Message
from drivers.base import DeviceError


def failing(name: str, may_fail: threading.Event | None = None) -> Stage:
    """Return a stage that fails as soon as it may."""

    def work(stop: threading.Event) -> None:
        assert may_fail is None or may_fail.wait(10)
        raise DeviceError(f"{name} has failed")

    return Stage(name, work)


def test_an_error_is_reported_once() -> None:
    messages: list[Message] = []
    stages, stage = Stages(messages.append), failing("camera")
    stages.start(stage)
    stage.join(10)
    stages.notice()
    stages.notice()
    assert [message.text for message in messages] == ["camera has failed"]
    with pytest.raises(ExceptionGroup) as raised:
        stages.join(10)
    assert raised.value.exceptions == (stage.error,)
    stages.join(10)


def test_a_stage_that_fails_while_errors_are_reported_is_not_forgotten() -> None:
    may_fail, texts = threading.Event(), list[str]()
    late = failing("disk", may_fail)

    def said(message: Message) -> None:
        texts.append(message.text)
        may_fail.set()
        late.join(10)

    stages, first = Stages(said), failing("camera")
    stages.start(first)
    stages.start(late)
    first.join(10)
    stages.notice()
    stages.notice()
    assert texts == ["camera has failed", "disk has failed"]


def test_nothing_starts_once_it_closes() -> None:
    stages = Stages(lambda message: None)
    with stages.closing():
        pass
    with pytest.raises(SessionError, match="the instrument is closed; open it again first"), stages.starting():
        raise AssertionError("a command was let in")


def test_a_closing_that_is_refused_leaves_it_open() -> None:
    stages = Stages(lambda message: None)
    with pytest.raises(SessionError, match="a recording is running"), stages.closing():
        raise SessionError("a recording is running")
    with stages.starting():
        pass


def test_closing_waits_for_a_command_and_then_waits_for_what_it_started() -> None:
    stages, entered, may_start, ended = Stages(lambda message: None), threading.Event(), threading.Event(), threading.Event()

    def command() -> None:
        with stages.starting():
            entered.set()
            may_start.wait(10)
            stages.start(Stage("record", lambda stop: ended.set()))

    def close() -> None:
        with stages.closing():
            stages.join(10)

    threads = [threading.Thread(target=work) for work in (command, close)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    may_start.set()
    for thread in threads:
        thread.join(10)
    assert ended.is_set()


def test_a_thread_that_does_not_end_is_named() -> None:
    stages, may_end = Stages(lambda message: None), threading.Event()
    stages.start(Stage("capture", lambda stop: assert_set(may_end)))
    with pytest.raises(ExceptionGroup) as raised:
        stages.join(0.01)
    may_end.set()
    assert "the thread 'capture' has not ended within 0.01 s" in str(raised.value.exceptions[0])


def assert_set(event: threading.Event) -> None:
    assert event.wait(10)


def test_the_devices_have_one_user_at_a_time() -> None:
    stages, may_end, uses = Stages(lambda message: None), threading.Event(), list[str]()
    devices = DeviceQueue(stages)

    def first() -> None:
        assert_set(may_end)
        uses.append("first")

    devices.use("camera settings", first)
    devices.use("SLM", lambda: uses.append("second"))
    assert uses == []
    may_end.set()
    stages.join(10)
    assert uses == ["first", "second"]
