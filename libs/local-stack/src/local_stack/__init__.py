"""A real Kafka, a real PostgreSQL and the services on one machine without Docker."""

from local_stack.errors import (
    BadJar,
    DataDirInUse,
    PortTaken,
    StackError,
    StartFailed,
    UnknownTool,
)
from local_stack.kafka_access import KafkaUser, ProtectedListeners
from local_stack.kafka_tools import run_kafka_tool
from local_stack.ports import free_port, is_free
from local_stack.stack import EndedByDown, LocalStack, ServiceSpec
from local_stack.stack_events import StackEvent
from local_stack.stale_processes import down
from local_stack.supervision import ServiceStatus

__all__ = [
    "BadJar",
    "DataDirInUse",
    "EndedByDown",
    "KafkaUser",
    "LocalStack",
    "PortTaken",
    "ProtectedListeners",
    "ServiceSpec",
    "ServiceStatus",
    "StackError",
    "StackEvent",
    "StartFailed",
    "UnknownTool",
    "down",
    "free_port",
    "is_free",
    "run_kafka_tool",
]
