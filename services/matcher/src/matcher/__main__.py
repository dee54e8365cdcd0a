"""`python -m matcher` owns match jobs; `python -m matcher agent` scores their chunks."""

import sys

from matcher.bootstrap import run_agent, run_owner

# The children of an agent's pool import this module under another name.
if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            run_owner()
        case ["agent"]:
            run_agent()
        case other:
            raise SystemExit(f"matcher: unknown arguments {other}; say nothing, or `agent`")
