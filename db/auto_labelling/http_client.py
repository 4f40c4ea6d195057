"""Requests to models behind HTTP. They go to hosts that the server's owner allows, and nowhere else.

The name of a host is resolved once, and every connection goes to the addresses that were found then: another answer of
the name's servers leads nowhere. No redirect is followed, no proxy of the environment used, no cookie kept. An answer
has a size that fits in memory, and a time in which it must be complete.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from db.auto_labelling.allowed import Address
from db.errors import ModelUnavailable

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

CONNECT: Final = 5.0  # seconds
MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes
MAX_VALUES: Final = 500_000  # in an answer: the event loop waits while they are made, some tenths of a second
PIECE: Final = 64 * 1024
WINDOW: Final = 16 * 1024  # bytes that the kernel keeps for us: as many are parsed before others have their turn
PAUSES: Final = (1.0, 4.0)  # seconds before a request is repeated
BUSY: Final = frozenset({429, 502, 503, 504})  # statuses after which a request is repeated
# Statuses that say something of this request alone: others may be answered.
OF_REQUEST: Final = frozenset({400, 413, 414, 415, 422, 500})

# Addresses of clouds' metadata that are not link-local: of AWS, Google, Azure, Alibaba and Oracle.
METADATA: Final = frozenset({"fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"})
TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 addresses, behind NAT64


class Unanswered(Exception):
    """This request got no answer that can be used; another may get one."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Client:
    """`seconds`: for one answer."""

    session: "aiohttp.ClientSession"
    address: Address
    seconds: float

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of the answer; `path` is below the address. Raises Unanswered, or ModelUnavailable."""
        return _json(await self._repeated(method, path, body))

    async def check(self, path: str) -> None:
        """Whether a GET succeeds, whatever the answer contains. Raises Unanswered, or ModelUnavailable."""
        await self._repeated("GET", path, None)

    async def _repeated(self, method: str, path: str, body: object) -> bytes:
        before, mark, query = self.address.url.partition("?")
        url = f"{before.rstrip('/')}{path}{mark}{query}"
        for pause in (*PAUSES, None):
            try:
                return await self._request(method, url, body)
            except _Busy as busy:
                if pause is None:
                    raise ModelUnavailable(f"The model at {self.address.name} {busy}.") from busy
                log.warning("a model behind HTTP %s; it is asked again in %g s", busy, pause)
                await asyncio.sleep(pause)
        raise AssertionError

    async def _request(self, method: str, url: str, body: object) -> bytes:
        import aiohttp

        data = None if body is None else orjson.dumps(body)
        headers = {"content-type": "application/json"} if data else {}
        try:
            async with (
                asyncio.timeout(self.seconds),
                self.session.request(method, url, data=data, headers=headers, allow_redirects=False) as response,
            ):
                self._check(response.status)
                return await _whole(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Busy("cannot be reached") from error
        except TimeoutError:
            raise Unanswered(f"The model did not answer within {self.seconds:g} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered("The model's answer is not HTTP, or breaks off.") from error

    def _check(self, status: int) -> None:
        if status in BUSY:
            raise _Busy(f"answers with the status {status}")
        if status in OF_REQUEST:
            raise Unanswered(f"The model answered with the status {status}.")
        if not 200 <= status < 300:
            what = "redirects elsewhere, which is not followed" if 300 <= status < 400 else "refuses the request"
            raise ModelUnavailable(f"The model at {self.address.name} {what}: status {status}.", status=status)


class _Busy(Exception):
    """The model may answer when it is asked again."""


async def _whole(response: "aiohttp.ClientResponse") -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unanswered("The model's answer is compressed, which was not asked for.")
    data = bytearray()
    async for piece in response.content.iter_chunked(PIECE):
        data += piece
        if len(data) > MAX_ANSWER:
            raise Unanswered(f"The model's answer is longer than {MAX_ANSWER // 1024**2} MiB.")
    return bytes(data)


def _json(data: bytes) -> Any:
    """Raises Unanswered for what is not JSON, and for too many values: commas are counted, as every value but the first
    of its list or object has one before it."""
    if data.count(b",") > MAX_VALUES:
        raise Unanswered(f"The model's answer has more than {MAX_VALUES:,} values.")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Unanswered("The model's answer is not JSON.") from None


@asynccontextmanager
async def connect(address: Address, seconds: float) -> AsyncGenerator[Client, None]:
    """A client of one model. Raises ModelUnavailable where the host's name has no address."""
    import aiohttp  # takes a quarter of a second, and most workers do not need it

    hosts = await _resolve(address)

    class Resolved(aiohttp.abc.AbstractResolver):
        """The addresses that the name had."""

        async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
            if host.lower() != address.host.host:
                raise OSError("only the model's own host is resolved")
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return [
                {"hostname": host, "host": each, "port": port, "family": kind, "proto": 0, "flags": flags}
                for kind, each in hosts
            ]

        async def close(self) -> None:
            pass

    headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "labelgraph"}
    if address.host.user is not None:
        headers["authorization"] = aiohttp.encode_basic_auth(address.host.user, address.host.password or "")
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=Resolved(), use_dns_cache=False, force_close=True, socket_factory=_socket
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
        headers=headers,
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield Client(session, address, seconds)


def _socket(address: "aiohttp.AddrInfoType") -> socket.socket:
    """Of an address with its family, type and protocol."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    made.setblocking(False)
    return made


async def _resolve(address: Address) -> list[tuple[int, str]]:
    """The host's addresses, with their families. A name that leads to this machine alone, such as to the address of a
    cloud's metadata, leads nowhere: whoever has the name can change that. The owner may allow such an address itself,
    and `localhost`."""
    host, port = address.host.host, address.host.port
    try:
        async with asyncio.timeout(CONNECT):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise ModelUnavailable(f"The name of the model's host, {host}, has no address.") from error
    hosts: list[tuple[int, str]] = list(
        dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found)
    )
    for _, each in hosts:
        ip = _within(ipaddress.ip_address(each.partition("%")[0]))
        is_own = ip.is_link_local or ip.is_multicast or ip.is_unspecified or str(ip) in METADATA
        if each != host and (is_own or (ip.is_loopback and not f".{host}".endswith(".localhost"))):
            raise ModelUnavailable(
                f"The name of the model's host, {host}, leads to an address that only this machine reaches, which is "
                "not allowed. The server's owner may allow that address itself."
            )
    return hosts


def _within(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    translated = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in TRANSLATED else None
    return ip.ipv4_mapped or ip.sixtofour or translated or ip
