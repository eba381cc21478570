"""What is counted, over HTTP, for operators: one page in the text format of Prometheus, as a plain ASGI application.

It is neither for the public nor for clerks, and has a listener of its own: whoever can reach the address may read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def metrics_application(render: Callable[[], bytes]) -> Starlette:
    """Build the application that serves `/metrics`; `render` writes the page and may read files."""

    async def answer(_request: Request) -> Response:
        return Response(await asyncio.to_thread(render), headers={**_HEADERS, "content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/metrics", answer, methods=["GET", "HEAD"])])
