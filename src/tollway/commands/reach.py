"""Asking over the network, for `tollway doctor`: what does a server answer to a GET.

Small and slow on purpose: the standard library, no redirects (a credential goes to its own host and nowhere else), and
no proxy from the environment, as the gateway itself.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

TIMEOUT_S = 5.0

_opener = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPErrorProcessor(),
    urllib.request.HTTPDefaultErrorHandler(),
):
    _opener.add_handler(_handler)


def status_of(url: str, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> int | str:
    """The HTTP status of a GET, or in a few words why there is none. Never says the URL: it may carry a key."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return "not an HTTP address"
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - checked above
    try:
        with _opener.open(request, timeout=timeout_s) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except TimeoutError:
        return f"no answer in {timeout_s:g} s"
    except urllib.error.URLError as error:
        return f"no answer in {timeout_s:g} s" if isinstance(error.reason, TimeoutError) else _plain(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _plain(error)


def _plain(reason: object) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__
