"""`python -m bgp.exabgp_start server CONF`: ExaBGP, which knocks again soon.

Left alone it waits longer and longer for a neighbor behind a black hole: the kernel doubles the
time between two SYNs of one attempt up to a minute, and ExaBGP rests up to a minute between two
attempts. A site that is reachable again would have no route for as long. Here an attempt ends after
three seconds, and the rest between two is at most two. Everything else is ExaBGP's own.
"""

import contextlib
import functools
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from exabgp.application.main import main
from exabgp.reactor import delay
from exabgp.reactor.network import outgoing

SYN_RETRIES: Final = 1  # given up after 1 + 2 s, see TCP_SYNCNT in tcp(7)
REST_S: Final = 2


def knock_soon() -> None:
    """No attempt to connect, and no rest between two, is long. AttributeError: not this ExaBGP."""
    delay.Delay.increase = _rests_shortly(delay.Delay.increase)
    outgoing.create = _gives_up_soon(outgoing.create)


def _rests_shortly(increase: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(increase)
    def shortly(self: Any) -> None:  # noqa: ANN401 - ExaBGP's own
        increase(self)
        self._next = min(self._next, REST_S)

    return shortly


def _gives_up_soon(create: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    @functools.wraps(create)
    def soon(*arguments: Any, **words: Any) -> socket.socket:  # noqa: ANN401 - ExaBGP's own
        made = create(*arguments, **words)
        with contextlib.suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYN_RETRIES)
        return made

    return soon


if __name__ == "__main__":
    try:
        knock_soon()
    except AttributeError as error:  # slow to come back is better than no route at all
        print(f"this ExaBGP will be slow to connect again: {error}", file=sys.stderr)  # noqa: T201
    main()
