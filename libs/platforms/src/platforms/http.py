"""One HTTP exchange: sent, counted, shown to `on_exchange` without secrets, its failures named."""

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import structlog

from platforms.connections import Connection
from platforms.errors import (
    InvalidCredentials,
    NotJson,
    Unavailable,
)
from platforms.redaction import Redactor
from platforms.results import Exchange, OnExchange
from platforms.retry import bounded_retry_after
from platforms.values import json_number

BODY_LIMIT = 64 * 1024
MESSAGE_LIMIT = 500
ANSWER_LIMIT = 32 * 1024 * 1024  # bytes, unpacked; a page of the largest records has a tenth of it
DEADLINE = 120.0  # seconds for a whole answer
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# Control characters and half surrogate pairs: no event and no text in PostgreSQL can hold them all.
_UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

_decoder = msgspec.json.Decoder(float_hook=json_number)

_log = structlog.get_logger(__name__)


class HttpCaller:
    """POSTs to one connection. Not thread-safe; `requests` counts the exchanges. clock: seconds, for the deadline.

    served_from: what the platform's clock showed, at the most, when the first answered request was sent: the header
    Date less the time until the answer was read. None where no answer had a Date.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Callable[[], float],
        http: httpx.Client | None,
        on_exchange: OnExchange | None,
    ) -> None:
        # A proxy of the environment is for the internet, never for a sandbox on this machine.
        outside = urlsplit(connection.base_url).hostname not in _LOOPBACK
        self._http = http or httpx.Client(timeout=_TIMEOUT, trust_env=outside)
        self._owns_http = http is None
        self._clock = clock
        self._on_exchange = on_exchange
        secrets = (value for key, value in connection.credentials.items() if _is_secret(key))
        self.redactor = Redactor(secrets)
        self.requests = 0
        self.served_from: datetime | None = None

    def post(
        self,
        url: str,
        content: bytes,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send once and read the whole answer, whatever its status.

        Raises Unavailable if none came, or none within DEADLINE and ANSWER_LIMIT; InvalidCredentials if they hold
        what no header can carry.
        """
        try:
            request = self._http.build_request("POST", url, content=content, headers=headers, params=params)
        except UnicodeEncodeError:
            raise _unsendable() from None
        self.requests += 1
        started = time.perf_counter()
        try:
            response = self._answer(request)
        except httpx.LocalProtocolError:
            # Its text quotes the header, and so the token.
            raise _unsendable() from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._unanswered(request, content, started, error) from None
        if self.served_from is None:
            self.served_from = _served_from(response, time.perf_counter() - started)
        self._report(request, content, started, status=response.status_code, body=response.text)
        return response

    def message(self, text: str) -> str:
        """`text` or code of a platform, for an error: one line without secrets or control characters."""
        return self.redactor.bounded(" ".join(_UNPRINTABLE.sub(" ", text).split()), MESSAGE_LIMIT)

    def close(self) -> None:
        """Close the connections, unless the HTTP client was given from outside."""
        if self._owns_http:
            self._http.close()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """Send, and read part by part: httpx bounds the pause between two parts, but neither time nor size in all."""
        ends = self._clock() + DEADLINE
        streamed = self._http.send(request, stream=True)
        body = bytearray()
        try:
            for part in streamed.iter_bytes():
                body += part
                if len(body) > ANSWER_LIMIT:
                    raise httpx.RemoteProtocolError(f"an answer of more than {ANSWER_LIMIT // 1024**2} MiB")
                if self._clock() > ends:
                    raise httpx.ReadTimeout(f"an answer that takes more than {DEADLINE:.0f} s")
        finally:
            streamed.close()
        unpacked = [(name, value) for name, value in streamed.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(streamed.status_code, headers=unpacked, content=bytes(body), request=request)

    def _unanswered(
        self, request: httpx.Request, content: bytes, started: float, error: httpx.RequestError
    ) -> Unavailable:
        text = self.message(f"{type(error).__name__}: {error}")
        self._report(request, content, started, error=text)
        code = "TIMEOUT" if isinstance(error, httpx.TimeoutException) else "NETWORK_ERROR"
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        return Unavailable(code, text, category=code, sent=sent)

    def _report(
        self,
        request: httpx.Request,
        content: bytes,
        started: float,
        *,
        status: int | None = None,
        body: str = "",
        error: str | None = None,
    ) -> None:
        if self._on_exchange is None:
            return
        self._on_exchange(
            Exchange(
                method=request.method,
                url=self.redactor.text(str(request.url)),
                request_body=self.redactor.bounded(content.decode("utf-8", "replace"), BODY_LIMIT),
                status=status,
                response_body=self.redactor.bounded(body, BODY_LIMIT),
                duration_ms=(time.perf_counter() - started) * 1000,
                error=error,
            )
        )


def json_body(response: httpx.Response) -> Any:
    """What an answer says. Raises NotJson. A fraction is a float, or a Decimal where a float would lose digits.

    Bytes that are no UTF-8 become U+FFFD, which the log tells: a wrong character in one name loses less than the
    whole list would.
    """
    try:
        try:
            return _decoder.decode(response.content)
        except UnicodeDecodeError:
            body = _decoder.decode(response.content.decode("utf-8", "replace"))
            _log.warning("bytes that are no UTF-8 replaced", path=response.request.url.path)
            return body
    except (msgspec.DecodeError, RecursionError):
        raise NotJson from None


def retry_after(response: httpx.Response, now: float) -> float | None:
    """Seconds that the platform's Retry-After header asks for (a number, or an HTTP date), bounded."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return bounded_retry_after(float(value))
    except ValueError:
        pass
    try:
        return bounded_retry_after(parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _served_from(response: httpx.Response, seconds: float) -> datetime | None:
    try:
        served = parsedate_to_datetime(response.headers["Date"])
        zoned = served if served.tzinfo else served.replace(tzinfo=UTC)
        return zoned.astimezone(UTC) - timedelta(seconds=seconds)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return None


def finite_number(value: Any) -> float | None:
    """A number in a platform's answer, also as text, as finite seconds or points; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _unsendable() -> InvalidCredentials:
    """Only the credentials of a request come from outside."""
    reason = "the stored credentials hold characters that no request can carry: store them anew"
    return InvalidCredentials("UNSENDABLE_CREDENTIALS", reason)


def _is_secret(key: str) -> bool:
    """Whether a credential is a secret; ids are not, and must stay readable in stored exchanges."""
    return not key.endswith("_id")
