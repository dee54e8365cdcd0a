"""The `jobtrail` script. It loads nothing by itself, so that Ctrl-C is heard before half a second of loading."""

import signal


def run() -> None:
    """Run a command. An interrupt while it is being loaded ends the process as the signal does, without a traceback."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell's background job ignores it
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from jobtrail.main import main

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
