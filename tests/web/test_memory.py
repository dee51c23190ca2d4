"""Memory is returned to the system once there are no more requests."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from brainai.web import memory


def test_memory_is_returned_once_after_a_crowd_and_not_during_it(monkeypatch):
    trims, looks, state = [], [], {"asked": 0, "idle": True}
    monkeypatch.setattr(memory, "RETURN_SECONDS", 0.001)
    monkeypatch.setattr(memory, "trim", lambda: trims.append(dict(state)))

    def asked() -> int:
        looks.append(1)
        return state["asked"]

    async def look_often() -> None:
        enough = len(looks) + 10
        while len(looks) < enough:
            await asyncio.sleep(0.001)

    async def crowd() -> None:
        async with memory.trimmed(asked, lambda: state["idle"]):
            await look_often()
            state.update(asked=5, idle=False)
            await look_often()
            state.update(idle=True)
            await look_often()

    # In a thread of its own: Playwright keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(crowd(), 60)).result()
    assert trims == [{"asked": 5, "idle": True}]


def test_memory_is_returned_after_an_error_too(monkeypatch, caplog):
    trims, errors = [], [ValueError("of a visitor")]
    counts = iter(range(1_000_000))
    monkeypatch.setattr(memory, "RETURN_SECONDS", 0.001)
    monkeypatch.setattr(memory, "trim", lambda: trims.append(1))

    def idle() -> bool:
        if errors:
            raise errors.pop()
        return True

    async def wait_for_trim() -> None:
        async with memory.trimmed(lambda: next(counts), idle):
            while not trims:
                await asyncio.sleep(0.001)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(wait_for_trim(), 20)).result()
    assert caplog.messages[0].startswith("ValueError at\n")
    assert "of a visitor" not in caplog.text


def test_without_glibc_nothing_happens(monkeypatch):
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(memory.ctypes, "CDLL", missing)
    memory.share_arenas()
    memory.trim()
