"""A connection to the server that can be lost."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._bytes: int | None = None
        self.is_away = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._listening.close()

    def cut(self) -> None:
        """Every connection is lost, and new ones, too, while `is_away`."""
        for each in self._open:
            close(each)
        self._open.clear()

    def cut_answer_after(self, size: int) -> None:
        """The next answer is lost after so many bytes: the server has done what was requested."""
        self._bytes = size

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.is_away:
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._open += [client, server]
            threading.Thread(target=self._carry, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, True), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while data := source.recv(65536):
                if is_answer and self._bytes is not None:
                    data, self._bytes = data[: self._bytes], self._bytes - len(data)
                    if self._bytes <= 0:
                        self._bytes = None
                        sink.sendall(data)
                        break
                sink.sendall(data)
        except OSError:
            pass
        close(source)
        close(sink)


def close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
    one.close()
