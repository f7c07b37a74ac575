"""Whether one node reaches another, and what a sender is told when it does not."""

import asyncio
from collections.abc import Iterable

from lab.netns.lab import Lab

PYTHON = "/usr/bin/python3"

_LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.bind((sys.argv[1], 9999))
    print("ready", flush=True)
    s.settimeout(float(sys.argv[2]))
    try:
        s.recvfrom(100)
        print("heard", flush=True)
    except TimeoutError:
        print("nothing", flush=True)
"""

_SEND = """
import socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    for _ in range(int(sys.argv[2])):
        s.sendto(b"hello", (sys.argv[1], 9999))
        time.sleep(0.02)
print("sent")
"""

_CONNECT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family) as s:
    s.settimeout(float(sys.argv[3]))
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
        print("connected")
    except OSError as error:
        print(type(error).__name__)
"""


async def hears(lab: Lab, receiver: str, address: str, sender: str, *, patience_s: float) -> bool:
    """Whether `receiver`, at its `address`, gets one of the datagrams that `sender` sends.

    The sender must not notice anything either way: an error there fails the test.
    """
    listener = await lab.start_process(receiver, [PYTHON, "-c", _LISTEN, address, str(patience_s)])
    assert listener.process.stdout is not None
    assert await listener.process.stdout.readline() == b"ready\n"
    sent = await lab.run(sender, [PYTHON, "-c", _SEND, address, "10"])
    assert sent.stdout == "sent\n"
    return (await listener.finish(patience_s + 5)).stdout == "heard\n"


async def answer(lab: Lab, node: str, address: str, port: int, *, patience_s: float = 0.7) -> str:
    """What a connection attempt comes to: connected, ConnectionRefusedError, TimeoutError..."""
    script = [PYTHON, "-c", _CONNECT, address, str(port), str(patience_s)]
    return (await lab.run(node, script)).stdout.strip()


async def answers(
    lab: Lab, attempts: Iterable[tuple[str, str]], *, patience_s: float = 0.7
) -> dict[tuple[str, str], str]:
    """What attempts from nodes to addresses come to, all made at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = {
            (node, address): group.create_task(
                answer(lab, node, address, 81, patience_s=patience_s)
            )
            for node, address in attempts
        }
    return {attempt: task.result() for attempt, task in tasks.items()}


async def pings(lab: Lab, node: str, address: str) -> bool:
    """Whether one echo request is answered within a second."""
    done = await lab.run(node, ["ping", "-n", "-c", "1", "-W", "1", address], check=False)
    return done.code == 0
