"""`python -m sandbox --port P --state DIR`: serve until SIGINT or SIGTERM.

SANDBOX_LIMITS=FILE in the environment: a JSON file with the rate limits of all shops.
"""

import argparse
import os
import socket
import sys
from pathlib import Path


def main() -> int:
    """Serve; 1 when the port is taken or the file of the limits cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; another one only in a container")
    parser.add_argument("--port", type=int, default=8490, help="port (default 8490)")
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the shops and the log")
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            print(  # noqa: T201 - the one sentence a person needs
                f"The sandbox can't listen on {options.host}:{options.port} ({error.strerror}); give another --port.",
                file=sys.stderr,
            )
            return 1
    import uvicorn  # imported late: a taken port is reported at once

    from sandbox.app import create_app
    from sandbox.shops import LimitsUnreadable, read_limits
    from sandbox.transports import Transports

    file = os.environ.get("SANDBOX_LIMITS")
    try:
        limits = read_limits(Path(file)) if file else None
    except LimitsUnreadable as error:
        print(f"SANDBOX_LIMITS: {error}", file=sys.stderr)  # noqa: T201 - the one sentence a person needs
        return 1
    transports = Transports()
    config = uvicorn.Config(
        create_app(options.state, transports, limits=limits),
        host=options.host,
        port=options.port,
        http=transports.protocol(),
        lifespan="on",
        log_level="warning",
        access_log=False,
        date_header=False,  # each shop has a clock of its own
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,  # as the platforms; after uvicorn's 5 s a client's next request may fail
    )
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
