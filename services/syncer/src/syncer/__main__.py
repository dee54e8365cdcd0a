"""`python -m syncer`."""

from syncer.bootstrap import run

if __name__ == "__main__":
    run()
