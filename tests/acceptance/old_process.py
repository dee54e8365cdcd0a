"""Runs `python -m SERVICE ARGUMENTS…`, but only from the source tree that is named first.

The folders of that tree come by PYTHONPATH, in front of those of the present code. A package that is taken from
elsewhere, such as one whose folder was renamed since, ends the process.
"""

import importlib
import runpy
import sys
from pathlib import Path

PACKAGES = ("job_events", "platforms", "job_tracker", "puller", "matcher", "syncer")


def main() -> None:
    """Check where the code comes from, then run the service as `__main__`."""
    tree = Path(sys.argv[1])
    for name in PACKAGES:
        found = importlib.import_module(name).__file__
        if found is None or tree not in Path(found).parents:
            raise SystemExit(f"{name} is not the code of {tree}: {found}")
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
