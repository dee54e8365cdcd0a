"""Run `python -m SERVICE ARGUMENTS…` from the source tree that is the first argument.

PYTHONPATH lists the folders of that tree before those of the present code. If a package is imported from elsewhere,
for example because its folder was renamed since, the process exits.
"""

import importlib
import runpy
import sys
from pathlib import Path

PACKAGES = ("job_events", "platforms", "job_tracker", "puller", "matcher", "syncer")


def main() -> None:
    """Check where the packages are imported from, then run the service."""
    tree = Path(sys.argv[1])
    for name in PACKAGES:
        found = importlib.import_module(name).__file__
        if found is None or tree not in Path(found).parents:
            raise SystemExit(f"{name} is not the code of {tree}: {found}")
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
