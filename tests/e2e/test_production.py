"""The whole service as production runs it: TLS in process, keys from a URL, no reflection."""

import ssl
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from patron.customer.v1.customer_service_pb2 import ListCustomersRequest
from patron.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from server.auth.development import DevelopmentKey
from tests.support.certificates import Authority
from tests.support.chain_server import refusal
from tests.support.jwks_server import JwksServer
from tests.support.service import running_service


@pytest.mark.fault
async def test_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with a certificate and a token is served; nobody learns what else there is."""
    authority = Authority()
    chain, key = authority.issue().write(tmp_path)
    clients = tmp_path / "clients.pem"
    clients.write_bytes(authority.certificate)
    app = authority.issue("app")
    data = tmp_path / "data"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(clients))  # The provider's authority is the same one.
    with JwksServer(tls) as jwks:
        jwks.publish(DevelopmentKey.open(data))
        async with running_service(
            data,
            environment="production",
            secret="s" * 32,
            auth_jwks_url=jwks.url,
            tls_cert_file=chain,
            tls_key_file=key,
            tls_client_ca_file=clients,
        ) as service:
            credentials = grpc.ssl_channel_credentials(authority.certificate, app.key, app.chain)
            async with grpc.aio.secure_channel(service.target, credentials) as channel:
                token = service.token(await service.create_merchant())
                metadata = (("authorization", f"Bearer {token}"),)
                customers: Any = CustomerServiceStub(channel)
                answer = await customers.ListCustomers(ListCustomersRequest(), metadata=metadata)
                assert not answer.customers

                make_stub: Any = reflection_pb2_grpc.ServerReflectionStub
                mirror = make_stub(channel)
                asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
                refused = await refusal(mirror.ServerReflectionInfo(iter(asked)).read())
                assert refused.code is grpc.StatusCode.UNIMPLEMENTED

            async with grpc.aio.insecure_channel(service.target) as channel:
                customers = CustomerServiceStub(channel)
                plain = customers.ListCustomers(ListCustomersRequest(), metadata=metadata)
                assert (await refusal(plain)).code is grpc.StatusCode.UNAVAILABLE
