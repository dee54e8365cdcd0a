"""`python -m puller`."""

from puller.bootstrap import run

run()
