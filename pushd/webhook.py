"""One attempt: one POST to one endpoint, whatever becomes of it."""

import asyncio
import contextlib
import email.utils
import ipaddress
import math
import os
import socket
import ssl
from types import TracebackType
from typing import Self

import aiodns
import pycurl

from pushd.config import Endpoint, wire_url
from pushd.event import Attempt
from pushd.transfers import Transfers

USER_AGENT = "wx-msg-chat-webhook/1.0"
_LONGEST_ERROR = 300  # characters
_LONGEST_ANSWER = 64 * 1024  # bytes; nobody reads it, but a connection can only be used again once it is read
_ADDRESSES_LAST = 60.0  # seconds that a name need not be looked up again
_LONGEST_TIMER = 2**31 - 1  # milliseconds: what libcurl takes
_CONNECTION_LASTS = 60  # seconds that an idle connection is kept

_DISCONNECTED = frozenset({pycurl.E_GOT_NOTHING})
_BROKEN_OFF = frozenset({pycurl.E_PARTIAL_FILE})
_MALFORMED = frozenset(
    {
        pycurl.E_UNSUPPORTED_PROTOCOL,  # an answer in HTTP/0.9, which is anything at all
        pycurl.E_FTP_WEIRD_SERVER_REPLY,
        100,  # CURLE_TOO_LARGE, which pycurl has no name for
        pycurl.E_BAD_CONTENT_ENCODING,
    }
)
_NETWORK = frozenset({pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR})
_TLS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_ISSUER_ERROR,
    }
)


class Webhook:
    """The HTTP client of one endpoint, with connections of its own: no other endpoint can hold them up."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loop: asyncio.AbstractEventLoop  # from __aenter__ on
        self._url = wire_url(endpoint.url)
        self._transfers = Transfers(most_kept=endpoint.concurrent_pushers)
        self._idle: list[_Request] = []
        self._resolver: aiodns.DNSResolver | None = None
        self._addresses: list[str] = []  # as libcurl wants them: "host:port:address,address"
        # When the name was last looked up; there is nothing to look up for an address.
        self._looked_up = math.inf if _is_address(self._url.raw_host or "") else -math.inf

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._transfers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transfers.__aexit__(kind, error, traceback)
        for request in self._idle:  # each holds some 30 kB of libcurl's, which the garbage collector does not see
            request.easy.close()
        self._idle.clear()
        if self._resolver:
            await self._resolver.close()

    async def post(self, body: bytes, webhook_id: str) -> Attempt:
        """POST the body; name look-up, connect, TLS, headers and body of the answer share the endpoint's timeout."""
        started = self._loop.time()
        if failed := await self._look_up(started):
            return failed
        request = self._idle.pop() if self._idle else _Request(str(self._url))
        request.prepare(body, webhook_id)
        code, seconds = await self._transfer(request, started)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            attempt = Attempt(None, f"no whole answer within {self._endpoint.timeout:g} s", seconds)
        else:
            attempt = request.outcome(code, seconds)
        self._idle.append(request)
        if attempt.status is None and self._addresses:
            self._looked_up = -math.inf  # the name may lead elsewhere by now
        return attempt

    async def connect(self) -> Attempt:
        """As far as a POST gets before it is sent: name look-up, connect, TLS; no error when all of that works."""
        started = self._loop.time()
        if failed := await self._look_up(started):
            return failed
        request = _Request(str(self._url))
        request.easy.setopt(pycurl.CONNECT_ONLY, 1)
        code, seconds = await self._transfer(request, started)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return Attempt(None, f"no connection within {self._endpoint.timeout:g} s", seconds)
        return Attempt(None, None if code == pycurl.E_OK else request.reason(code), seconds)

    async def _transfer(self, request: "_Request", started: float) -> tuple[int, float]:
        """Let libcurl do it in what is left of the time; answers its code, and the seconds since the start."""
        left = self._endpoint.timeout - (self._loop.time() - started)
        # A timer of libcurl's: one of the loop's for each request costs a tenth of what the request costs. (0 is none.)
        request.easy.setopt(pycurl.TIMEOUT_MS, min(max(1, round(left * 1000)), _LONGEST_TIMER))
        request.easy.setopt(pycurl.RESOLVE, self._addresses)
        code = await self._transfers.perform(request.easy)
        return code, self._loop.time() - started

    async def _look_up(self, now: float) -> Attempt | None:
        """Resolve the name, now and then, and answer what went wrong, if anything did.

        libcurl would do it in a thread that can only be waited for.
        """
        if now < self._looked_up + _ADDRESSES_LAST:
            return None
        host = self._url.raw_host or ""
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver()
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                found = await self._resolver.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except TimeoutError:
            return Attempt(None, f"dns: no address within {self._endpoint.timeout:g} s", self._loop.time() - now)
        except aiodns.error.DNSError:
            return Attempt(None, f"dns: {self._url.host} cannot be resolved", self._loop.time() - now)
        addresses = [node.addr[0].decode("ascii") for node in found.nodes]
        listed = ",".join(f"[{each}]" if ":" in each else each for each in dict.fromkeys(addresses))
        self._addresses = [f"{host}:{self._url.port}:{listed}"]
        self._looked_up = now
        return None


class _Request:
    """An easy handle that is used again and again, and what came back on it."""

    def __init__(self, url: str) -> None:
        self._read = 0
        self._headers: dict[bytes, str] = {}
        self.easy = easy = pycurl.Curl()
        easy.setopt(pycurl.URL, url)
        easy.setopt(pycurl.POST, 1)
        easy.setopt(pycurl.NOSIGNAL, 1)
        easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        easy.setopt(pycurl.PROXY, "")  # whatever the environment says
        easy.setopt(pycurl.MAXAGE_CONN, _CONNECTION_LASTS)
        easy.setopt(pycurl.WRITEFUNCTION, self._take_body)
        easy.setopt(pycurl.HEADERFUNCTION, self._take_header)
        # The libcurl of the wheel does not know where this system keeps its authorities; Python does.
        trusted = ssl.get_default_verify_paths()
        if trusted.cafile:
            easy.setopt(pycurl.CAINFO, trusted.cafile)
        if trusted.capath:
            easy.setopt(pycurl.CAPATH, trusted.capath)

    def prepare(self, body: bytes, webhook_id: str) -> None:
        """Make it ready for another transfer."""
        self._read = 0
        self._headers.clear()
        self.easy.setopt(
            pycurl.HTTPHEADER,
            [
                "Content-Type: application/json",
                f"User-Agent: {USER_AGENT}",
                f"webhook-id: {webhook_id}",
                "Expect:",  # not to be waited for, however large the body
            ],
        )
        self.easy.setopt(pycurl.POSTFIELDS, body)

    def outcome(self, code: int, seconds: float) -> Attempt:
        """What the transfer came to."""
        cut_short = code == pycurl.E_WRITE_ERROR and self._read > _LONGEST_ANSWER
        if code != pycurl.E_OK and not cut_short:
            return Attempt(None, self.reason(code), seconds)
        status = self.easy.getinfo(pycurl.RESPONSE_CODE)
        return Attempt(
            status=status,
            error=None if 200 <= status < 300 else f"status {status}",
            seconds=seconds,
            retry_after=_retry_after(self._headers.get(b"retry-after"), self._headers.get(b"date")),
        )

    def _take_body(self, data: bytes) -> int | None:
        self._read += len(data)
        return 0 if self._read > _LONGEST_ANSWER else None  # cheaper than reading on: a new connection

    def _take_header(self, line: bytes) -> None:
        if line[:1] in b"DdRr":
            name, _, value = line.partition(b":")
            self._headers[name.lower()] = value.strip().decode("latin-1")

    def reason(self, code: int) -> str:
        """What stood in the way, by kind; never the URL, which may hold a secret."""
        return _plain(self._reason(code))

    def _reason(self, code: int) -> str:
        number = self.easy.getinfo(pycurl.OS_ERRNO)
        system = os.strerror(number).lower() if number else ""
        if code == pycurl.E_COULDNT_CONNECT:
            return f"connect: {system or 'no address answers'}"
        if code in _TLS:
            return f"tls: {self.easy.errstr()}"
        if code in _DISCONNECTED:
            return "http: disconnected before an answer"
        if code in _BROKEN_OFF:
            return "http: the answer broke off"
        if code in _MALFORMED:
            return f"http: malformed answer: {self.easy.errstr()}"
        if code in _NETWORK:
            return f"network: {system or self.easy.errstr()}"
        return f"http: {self.easy.errstr()}"


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _plain(text: str) -> str:
    """Cut short, without anything unprintable: parts of it may come from the receiver, and it goes into a database."""
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST_ERROR])


def _retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds that the receiver wants to be left alone: a number, or a time measured by its own Date (RFC 9110)."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until, now = (email.utils.parsedate_to_datetime(text) for text in (value, date or ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None  # not for us to understand; the usual wait applies
