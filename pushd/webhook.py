"""One attempt: one POST to one endpoint, whatever becomes of it."""

import asyncio
import email.utils
import os
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.resolver import AsyncResolver

from pushd.config import Endpoint
from pushd.event import Attempt

USER_AGENT = "wx-msg-chat-webhook/1.0"
_LONGEST_ERROR = 300  # characters
_LONGEST_ANSWER = 64 * 1024  # bytes; nobody reads it, but a connection can only be used again once it is read


class Webhook:
    """The HTTP client of one endpoint, with connections of its own: no other endpoint can hold them up."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None  # between __aenter__ and __aexit__

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self._endpoint.concurrent_pushers,
            resolver=AsyncResolver(),
            keepalive_timeout=60,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "User-Agent": USER_AGENT},
            skip_auto_headers={"Accept-Encoding"},
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # there is one deadline, in `post`
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def post(self, body: bytes, webhook_id: str) -> Attempt:
        """POST the body; name look-up, connect, TLS, headers and body of the answer share the endpoint's timeout."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                return await self._post(body, webhook_id, started)
        except TimeoutError:
            error = f"no whole answer within {self._endpoint.timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as reason:
            error = _plain(_reason(reason))
        return Attempt(None, error, loop.time() - started)

    async def _post(self, body: bytes, webhook_id: str, started: float) -> Attempt:
        assert self._session is not None, "post is called between __aenter__ and __aexit__"  # noqa: S101
        async with self._session.post(
            self._endpoint.url, data=body, headers={"webhook-id": webhook_id}, allow_redirects=False
        ) as response:
            read = 0
            async for chunk in response.content.iter_any():
                read += len(chunk)
                if read > _LONGEST_ANSWER:
                    response.close()  # cheaper than reading on: a new connection
                    break
        return Attempt(
            status=response.status,
            error=None if response.ok and response.status < 300 else f"status {response.status}",
            seconds=asyncio.get_running_loop().time() - started,
            retry_after=_retry_after(response.headers.get("Retry-After"), response.headers.get("Date")),
        )


def _reason(error: Exception) -> str:
    """What stood in the way, by kind; never the URL, which may hold a secret."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"dns: {error.host} cannot be resolved"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return f"tls: {getattr(error, 'certificate_error', None) or error.os_error}"
        case aiohttp.ClientConnectorError():
            return f"connect: {_os_reason(error.os_error)}"
        case aiohttp.ClientPayloadError():
            return "http: the answer broke off"
        case aiohttp.ServerDisconnectedError():
            return "http: disconnected before an answer"
        case aiohttp.ClientResponseError():
            return f"http: malformed answer: {error.message}"
        case OSError():
            return f"network: {_os_reason(error)}"
    return f"http: {type(error).__name__}"


def _plain(text: str) -> str:
    """Cut short, without anything unprintable: parts of it may come from the receiver, and it goes into a database."""
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST_ERROR])


def _os_reason(error: OSError) -> str:
    """The system's word for it; event loops put words of their own, with addresses, into the text."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else type(error).__name__


def _retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds that the receiver wants to be left alone: a number, or a time measured by its own Date (RFC 9110)."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until, now = (email.utils.parsedate_to_datetime(text) for text in (value, date or ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None  # not for us to understand; the usual wait applies
