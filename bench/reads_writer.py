"""Writes at a steady rate while reads are measured: `python -m bench.reads_writer --kafka HOST:PORT PREFIX...`.

Every prefix gets a stream of events of its own, at the full rate. It ends with its standard input.
"""

import argparse
import itertools
import sys
import threading
import time

from confluent_kafka import Producer

from bench.workload import Shape, messages
from job_events.topics import Topics

_BEAT = 0.02  # seconds between two handfuls of events


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.reads_writer", description=__doc__)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    parser.add_argument("prefixes", nargs="+", help="of the topics to write to")
    asked = parser.parse_args()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    producer = Producer({"bootstrap.servers": asked.kafka, "partitioner": "murmur2_random", "linger.ms": 5})
    streams = {
        Topics(prefix).events: messages(Shape(jobs=10_000_000, seed=seed)) for seed, prefix in enumerate(asked.prefixes)
    }
    due = time.monotonic()
    while not ended.is_set():
        due += _BEAT
        for topic, stream in streams.items():
            for message in itertools.islice(stream, round(asked.rate * _BEAT)):
                producer.produce(topic, key=message.key, value=message.value)
        producer.poll(0)
        ended.wait(max(0.0, due - time.monotonic()))
    producer.flush(10)


if __name__ == "__main__":
    main()
