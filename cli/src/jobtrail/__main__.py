"""The `jobtrail` script. Loads nothing before it handles Ctrl-C: loading the commands takes half a second."""

import signal


def run() -> None:
    """Run a command. An interrupt while the commands load ends the process by the signal, without a traceback."""
    interruptible = (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )  # a background job of a shell ignores it
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from jobtrail.main import main

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


if __name__ == "__main__":
    run()
