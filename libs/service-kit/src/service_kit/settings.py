"""The settings that every service reads from its environment."""

from typing import Self, TypeVar

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from service_kit.kafka_security import VARIABLES, KafkaConnection, KafkaSecurity, read_security


class KafkaSettings(BaseSettings):
    """The Kafka cluster, and how to log in there. An empty variable counts as not set."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    kafka_bootstrap_servers: str = Field(description="host:port of a Kafka broker")
    kafka_security_protocol: str = Field(default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    kafka_sasl_mechanism: str = Field(default="", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_sasl_username: str = Field(default="", description="the user of a SASL protocol")
    kafka_sasl_password: SecretStr = Field(default=SecretStr(""), description="that user's password")
    kafka_ssl_ca_location: str = Field(
        default="", description="file of the authorities (PEM) that sign the brokers' certificates; else the system's"
    )
    kafka_ssl_certificate_location: str = Field(default="", description="file of the client's certificate (PEM)")
    kafka_ssl_key_location: str = Field(default="", description="file of the client certificate's key (PEM)")
    kafka_ssl_key_password: SecretStr = Field(default=SecretStr(""), description="password of that key")

    _security: KafkaSecurity = PrivateAttr(default_factory=KafkaSecurity)

    @model_validator(mode="after")
    def _check_security(self) -> Self:
        self._security = self._read_security()
        return self

    @property
    def kafka(self) -> KafkaConnection:
        """The cluster to connect to."""
        return KafkaConnection(self.kafka_bootstrap_servers, self._security)

    def _read_security(self) -> KafkaSecurity:
        values = {variable: getattr(self, variable.lower()) for variable in VARIABLES}
        return read_security(
            {
                variable: value.get_secret_value() if isinstance(value, SecretStr) else value
                for variable, value in values.items()
            }
        )


class ServiceSettings(KafkaSettings):
    """Addresses and sizes."""

    database_url: str = Field(
        repr=False, description="postgresql://user:password@host:port/database?sslmode=verify-full&sslrootcert=file"
    )
    jobtrail_secret_key: str = Field(
        default="", repr=False, description="Fernet key that encrypts the credentials of platforms"
    )
    jobtrail_workers: int = Field(default=4, ge=1, le=64, description="jobs that one process runs in parallel")
    jobtrail_replication: int = Field(default=1, ge=1, description="replicas of the topics that are created")
    jobtrail_topic_prefix: str = Field(default="", description="put before every topic name and consumer group")

    @field_validator("database_url")
    @classmethod
    def _check_address(cls, given: str) -> str:
        try:
            conninfo_to_dict(given)
        except ProgrammingError:  # its text repeats the address, and with it the password
            raise ValueError(
                "is not an address of PostgreSQL, such as postgresql://user:password@host:port/database"
            ) from None
        return given


Settings = TypeVar("Settings", bound=ServiceSettings)


def read_settings(kind: type[Settings], service: str) -> Settings:
    """The settings from the environment; exits with one sentence that names each missing or invalid variable."""
    try:
        return kind.model_validate({})
    except ValidationError as error:
        wrong = "; ".join(_sentence(part) for part in error.errors())
        raise SystemExit(f"{service}: invalid configuration: {wrong}") from None


def _sentence(error: ErrorDetails) -> str:
    """The variable and what is wrong with it; a message about several variables names them itself."""
    message = error["msg"].removeprefix("Value error, ")
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
