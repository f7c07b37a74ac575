"""Rules for the kernel, given to it by nft's own library: no process has to be started.

In a takeover every seal waits for the fence, and a program that is started only for that takes as
long as all of the rest of it where the processor is busy.
"""

import asyncio
import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from controller.ports import Refused, TimedOut, Unreachable

LIBRARY: Final = "libnftables.so.1"
DEADLINE_S: Final = 2.0
_ALONE: Final = threading.Lock()  # the library makes and forgets its tables without a lock


async def run_nft(script: str) -> None:
    """The kernel has taken `script`, as one transaction (libnftables(3)).

    In a thread of its own, for another program's transaction may hold it up, and in the network
    namespace of the caller. Raises Unreachable without the library, Refused with its first words
    about what is wrong, TimedOut when it has not ended: then it may still be taken.
    """
    library = _library(LIBRARY)
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nft")
    done = asyncio.get_running_loop().run_in_executor(thread, _run, library, script)
    thread.shutdown(wait=False)
    try:
        async with asyncio.timeout(DEADLINE_S):
            code, errors = await asyncio.shield(done)
    except TimeoutError:
        raise TimedOut(f"nftables: no answer of the kernel within {DEADLINE_S:g} s") from None
    if code:
        lines = errors.strip().splitlines()
        reason = lines[0] if lines else "no reason given"
        raise Refused(f"nftables: the kernel refused our rules: {reason}")


def _run(library: ctypes.CDLL, script: str) -> tuple[int, str]:
    with _ALONE:
        context = library.nft_ctx_new(0)
        try:
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            code = library.nft_run_cmd_from_buffer(context, script.encode())
            said: bytes = library.nft_ctx_get_error_buffer(context) or b""
        finally:
            library.nft_ctx_free(context)
    return code, said.decode(errors="replace")


@cache
def _library(name: str) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise Unreachable(
            f"nftables: {name} cannot be loaded ({error}): install nftables"
        ) from error
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes, library.nft_ctx_new.restype = [ctypes.c_uint32], context
    library.nft_ctx_buffer_output.argtypes = [context]
    library.nft_ctx_buffer_error.argtypes = [context]
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    library.nft_ctx_get_error_buffer.argtypes = [context]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_free.argtypes, library.nft_ctx_free.restype = [context], None
    return library
