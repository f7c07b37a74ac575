"""A real web server that notes what it is posted, and answers as it is told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from controller.adapters.webhook import Webhook
from controller.config import Secret


@dataclass(slots=True)
class PostOffice:
    answers: deque[int] = field(default_factory=deque)  # then 200
    delay_s: float = 0.0
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def _take(self, request: web.Request) -> web.Response:
        self.posted.append((dict(request.headers), await request.read()))
        self.came.set()
        await asyncio.sleep(self.delay_s)
        status = self.answers.popleft() if self.answers else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    def webhook(self, **headers: str) -> Webhook:
        url = f"http://127.0.0.1:{self.port}/hook/s3cret-path?key=s3cret-key"
        return Webhook(Secret(url), {name: Secret(value) for name, value in headers.items()})

    async def until_posted(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.posted) < count:
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    office = PostOffice()
    app = web.Application()
    app.router.add_post("/{path:.*}", office._take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        office.port = runner.addresses[0][1]
        yield office
    finally:
        await runner.cleanup()
