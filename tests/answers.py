"""Does something answer over HTTP yet?"""

import httpx


def answers(url: str) -> bool:
    """Whether this address answers with success; a process that is starting refuses the connection."""
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.TransportError:
        return False
