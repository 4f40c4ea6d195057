"""A response's head and body are sent together, and neither waits for long."""

import asyncio

import pytest

from api.connections.http import MAX_WAITING, ResponseTransport


class Sent(asyncio.Transport):
    """A transport that keeps each piece that it is to send, and is closing once it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


@pytest.fixture
async def sent() -> Sent:
    return Sent()


@pytest.fixture
async def response(sent: Sent) -> ResponseTransport:
    return ResponseTransport(sent, sent.close, lambda: None)


async def test_a_head_and_its_body_are_one_piece(sent: Sent, response: ResponseTransport) -> None:
    response.write(b"head ")
    response.write(b"body")
    await asyncio.sleep(0)
    assert sent.pieces == [b"head body"]


async def test_a_head_whose_body_comes_later_is_sent_before(sent: Sent, response: ResponseTransport) -> None:
    response.write(b"head")
    assert not sent.pieces
    await asyncio.sleep(0)
    assert sent.pieces == [b"head"]
    response.write(b"event")
    await asyncio.sleep(0)
    assert sent.pieces == [b"head", b"event"]


async def test_a_large_piece_does_not_wait(sent: Sent, response: ResponseTransport) -> None:
    response.write(b"x" * (MAX_WAITING + 1))
    assert len(sent.pieces) == 1


async def test_what_waits_is_sent_before_the_connection_is_closed(sent: Sent, response: ResponseTransport) -> None:
    response.write(b"head")
    response.close()
    assert (sent.pieces, sent.closing) == ([b"head"], True)
    response.write(b"body")
    await asyncio.sleep(0)
    assert sent.pieces == [b"head"]
