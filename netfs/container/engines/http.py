"""Asking an engine over HTTP at a unix socket: GET and nothing else, within a time and a size.

with Http(path, timeout) as http:
    version = http.get("/version")          # a document; a Gap where there is none
"""

from __future__ import annotations

import http.client
import time
from types import TracebackType
from typing import NamedTuple, Self

from netfs.container.engines.connection import Deadlined, connected, refusal
from netfs.model.gaps import Gap
from netfs.overlay.stores import documents

ANSWER_BYTES = 64 << 20
"""Of the longest answer that is read: a list of 10,000 containers has 20 MB."""
_PIECE = 1 << 16
_MESSAGE = 200
"""Characters of an engine's own message that are told."""
_OK, _NOT_FOUND = 200, 404


class Answer(NamedTuple):
    """What came back, whatever its status is."""

    status: int
    headers: dict[str, str]
    """By names in small letters."""
    document: object
    """None where the body is no JSON."""


class Http:
    """An engine at its socket. It is connected to when it is first asked, and asked again on the same connection.

    Nothing here raises for what an engine does.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        """Seconds for one whole answer."""
        self.hangs = False
        """The last answer did not come in time."""
        self._connection: _Connection | None = None

    def get(self, target: str, what: str = "engine") -> object | Gap:
        """The document at a target; a Gap where there is none. ``what``: the part that is missing then."""
        return self.document(self.ask(target, what), what)

    def find(self, target: str, what: str = "engine") -> dict[str, object] | Gap | None:
        """The object at a target; a Gap as above; None where the engine says that there is no such thing."""
        answer = self.ask(target, what)
        if isinstance(answer, Answer) and answer.status == _NOT_FOUND:
            return None
        document = self.document(answer, what)
        if isinstance(document, dict | Gap):
            return document
        return Gap(self.where, what, "answered with what is no object")

    def document(self, answer: Answer | Gap, what: str = "engine") -> object | Gap:
        """What an answer holds; a Gap where it holds nothing."""
        if isinstance(answer, Gap):
            return answer
        if answer.status != _OK:
            return Gap(self.where, what, f"answered {answer.status}{_message(answer.document)}")
        if answer.document is None:
            return Gap(self.where, what, "answered with what is no JSON")
        return answer.document

    def ask(self, target: str, what: str = "engine") -> Answer | Gap:
        """Whatever is answered. A connection that an engine closed meanwhile is made again, once."""
        until = time.monotonic() + self.timeout
        self.hangs = False
        again = self._connection is not None
        try:
            try:
                return self._exchange(target, until)
            except (ConnectionError, http.client.RemoteDisconnected):
                if not again:
                    raise
                self.close()
                return self._exchange(target, until)
        except OSError as error:
            self.hangs = isinstance(error, TimeoutError)
            reason = refusal(self.path, error)
        except _TooLargeError:
            reason = f"its answer is larger than {ANSWER_BYTES >> 20} MiB"
        except http.client.IncompleteRead:
            reason = "its answer ends early"
        except (http.client.HTTPException, ValueError):
            reason = "does not speak HTTP"
        self.close()
        return Gap(self.where, what, reason)

    def _exchange(self, target: str, until: float) -> Answer:
        if self._connection is None:
            self._connection = _Connection(self.path, until)
        self._connection.until = until
        self._connection.request("GET", target, headers={"Accept": "application/json"})
        response = self._connection.getresponse()
        body = _body(response)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, _parsed(body))

    @property
    def where(self) -> str:
        """The engine's endpoint, as gaps name it."""
        return f"unix://{self.path}"

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _TooLargeError(Exception):
    pass


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, until: float) -> None:
        super().__init__("localhost")
        self._path = path
        self._until = until

    @property
    def until(self) -> float:
        """When the current answer must be there."""
        return self._until

    @until.setter
    def until(self, moment: float) -> None:
        self._until = moment
        if isinstance(self.sock, Deadlined):
            self.sock.until = moment

    def connect(self) -> None:
        self.sock = connected(self._path, self._until)


def _body(response: http.client.HTTPResponse) -> bytes:
    """All of it. Raises IncompleteRead, where it is shorter than was announced; _TooLargeError."""
    pieces: list[bytes] = []
    size = 0
    while piece := response.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES:
            raise _TooLargeError
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _parsed(body: bytes) -> object:
    try:
        return documents.parse(body)
    except (ValueError, RecursionError):
        return None


def _message(document: object) -> str:
    """What an engine says of a failure: Docker's ``message``, Podman's ``cause`` with it."""
    message = documents.text(document, "message")
    return f": {message[:_MESSAGE]}" if message else ""
