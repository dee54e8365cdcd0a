"""`python -m sandbox --port P --state DIR`: serve until SIGINT or SIGTERM."""

import argparse
import socket
import sys
from pathlib import Path


def main() -> int:
    """Serve; 1 when the port is taken."""
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
    from sandbox.transports import Transports

    transports = Transports()
    config = uvicorn.Config(
        create_app(options.state, transports),
        host=options.host,
        port=options.port,
        http=transports.protocol(),
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,  # as the platforms; after uvicorn's 5 s a client's next request may fail
    )
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
