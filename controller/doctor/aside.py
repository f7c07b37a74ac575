"""Calls that may block for ever, on a disk that hangs, where they hold up nothing and nobody."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Found = TypeVar("Found")


async def aside(call: Callable[Given, Found], *args: Given.args, **kwargs: Given.kwargs) -> Found:
    """What `call` returns or raises. Given up, it is left behind: the program can end without it,
    which it could not with a thread of the loop's own pool.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Found] = loop.create_future()

    def settle(error: Exception | None, found: Found | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(found)  # type: ignore[arg-type]

    def run() -> None:
        error: Exception | None = None
        found: Found | None = None
        try:
            found = call(*args, **kwargs)
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error, found)

    threading.Thread(target=run, daemon=True).start()
    return await done
