"""Guards that can be removed, one at a time, in a process of the chaos run only: what they guard must then break."""


def remove_guard(name: str) -> None:
    """Remove a guard by name; the empty name removes none."""
    if name:
        raise SystemExit(f"there is no guard {name!r}")
