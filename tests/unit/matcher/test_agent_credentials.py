"""The agent's client gets the same security settings as all others."""

import faust
import pytest

from local_stack.certificates import Certificates, make_certificates
from matcher.agent.app import credentials
from service_kit.kafka_security import read_security

USER = {
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "lan",
    "KAFKA_SASL_PASSWORD": "geheim",
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_a_plain_cluster_needs_none() -> None:
    assert credentials(read_security({})) is None


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_user(protocol: str) -> None:
    made = credentials(read_security(USER | {"KAFKA_SECURITY_PROTOCOL": protocol}))
    assert isinstance(made, faust.SASLCredentials)
    assert (made.protocol.value, made.mechanism.value) == (protocol, "SCRAM-SHA-512")
    assert (made.username, made.password) == ("lan", "geheim")
    assert "geheim" not in repr(made)


def test_tls_trusts_the_authority_that_is_named(certificates: Certificates) -> None:
    given = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": str(certificates.authority)}
    made = credentials(read_security(given))
    assert isinstance(made, faust.SSLCredentials)
    assert made.protocol.value == "SSL" and made.context.check_hostname
    assert len(made.context.get_ca_certs()) == 1
