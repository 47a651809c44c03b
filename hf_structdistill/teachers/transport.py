"""AsyncInferenceClient on aiohttp's connections.

httpx2 looks at every open connection for every request: with 64 in flight that is most of a call's CPU time. aiohttp
(which the datasets library needs as well) keeps free connections at hand and parses replies in C.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address
from typing import Any
from urllib.request import getproxies

import aiohttp
import httpx2
from huggingface_hub import AsyncInferenceClient, get_async_session
from huggingface_hub.errors import OfflineModeIsEnabled

Hook = Callable[[httpx2.Request], Awaitable[Any]]

_SET_BY_AIOHTTP = frozenset((b"host", b"content-length", b"transfer-encoding", b"accept-encoding"))


class PooledInferenceClient(AsyncInferenceClient):
    """An AsyncInferenceClient for many requests at a time.

    HF_HUB_OFFLINE keeps it from asking other machines; this one is not the Hub.

    Behind a proxy, or after `huggingface_hub.set_async_client_factory`, it is the plain client: what was set up there
    (certificates, proxies) must hold here. Should huggingface_hub rename the method that is overridden, so it is too.

    Attributes:
        prepared: a request got as far as being sent: token, provider and model are such that it can be.
    """

    prepared = False

    async def _get_async_client(self) -> httpx2.AsyncClient:
        self.prepared = True
        if self._async_client is None:
            client = usual = get_async_session()
            if _of_huggingface_hub(usual) and not getproxies():
                client = httpx2.AsyncClient(
                    transport=AiohttpTransport(),
                    event_hooks=usual.event_hooks,
                    follow_redirects=usual.follow_redirects,
                    timeout=usual.timeout,
                )
                await usual.aclose()
            hooks = client.event_hooks
            client.event_hooks = {**hooks, "request": [_unless_loopback(hook) for hook in hooks["request"]]}
            self._async_client = await self.exit_stack.enter_async_context(client)
        return await super()._get_async_client()


def _unless_loopback(hook: Hook) -> Hook:
    """The hook, without its refusal to ask this machine when HF_HUB_OFFLINE is set. Redirects are asked about, too."""

    async def check(request: httpx2.Request) -> None:
        try:
            await hook(request)
        except OfflineModeIsEnabled:
            if not _is_loopback(request.url.host):
                raise

    return check


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of_huggingface_hub(client: httpx2.AsyncClient) -> bool:
    """Whether nobody set a factory of their own: huggingface_hub's has hooks of its own."""
    hooks = [hook for some in client.event_hooks.values() for hook in some]
    return type(client) is httpx2.AsyncClient and any(hook.__module__.startswith("huggingface_hub.") for hook in hooks)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends what httpx2 has prepared through one aiohttp session; a reply is read whole."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._session is None:
            # the limit is the caller's: AdaptiveLimit
            connector = aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context())
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        times = request.extensions.get("timeout", {})
        with _as_httpx_errors(request):
            async with self._session.request(
                request.method,
                str(request.url),
                data=await request.aread(),
                headers=[(n.decode(), v.decode()) for n, v in request.headers.raw if n.lower() not in _SET_BY_AIOHTTP],
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(None, sock_connect=times.get("connect"), sock_read=times.get("read")),
            ) as reply:
                content = await reply.read()
        # aiohttp has undone the compression
        headers = [(n, v) for n, v in reply.raw_headers if n.lower() not in (b"content-encoding", b"content-length")]
        return httpx2.Response(reply.status, headers=headers, content=content)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


@contextlib.contextmanager
def _as_httpx_errors(request: httpx2.Request) -> Iterator[None]:
    def as_httpx(kind: type[httpx2.TransportError], error: Exception) -> Any:
        return kind(str(error) or type(error).__name__, request=request)

    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise as_httpx(httpx2.ConnectTimeout, error) from error
    except asyncio.TimeoutError as error:
        raise as_httpx(httpx2.ReadTimeout, error) from error
    except aiohttp.ClientConnectorError as error:
        raise as_httpx(httpx2.ConnectError, error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise as_httpx(httpx2.ReadError, error) from error
