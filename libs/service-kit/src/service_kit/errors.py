"""Every error of the service kit."""

from confluent_kafka import KafkaError, KafkaException

from job_events.errors import JobtrailError


class ServiceKitError(JobtrailError):
    """Base of every error that the service kit raises on purpose."""


class Stopping(ServiceKitError):
    """The process was told to stop while it waited for its servers."""


class InvalidSecurity(ServiceKitError, ValueError):
    """The security settings contradict each other or cannot work; the message names the variable to change."""


class KafkaUnreachable(ServiceKitError, KafkaException):
    """No broker can be used; the text is a sentence for a person. `refused`: a broker refuses this client."""

    def __init__(self, sentence: str, *, refused: bool) -> None:
        code = KafkaError._AUTHENTICATION if refused else KafkaError._TRANSPORT  # pyright: ignore[reportPrivateUsage]
        super().__init__(KafkaError(code, sentence))
        self._sentence = sentence
        self.refused = refused

    def __str__(self) -> str:
        return self._sentence

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sentence!r})"
