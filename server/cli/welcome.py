"""What a developer reads when the server is ready."""

import shlex
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.cli.merchants import DEMO_MERCHANT_ID
from server.cli.tokens import all_scopes, sign
from server.settings import Settings

if TYPE_CHECKING:
    from server.embedded import RunningServer

_TOKEN_HOURS = 12

_WELCOME = """\

A first call, to paste into another terminal. The token is one of the demo merchant,
{merchant}, for {hours} hours:

TOKEN={token}

With grpcurl:

grpcurl -plaintext -H "authorization: Bearer $TOKEN" \\
  -d '{{"request_id": "{request_id}", "customer": {{"name": "Ada"}}}}' \\
  {target} patron.customer.v1.CustomerService/CreateCustomer

With the generated Python code:

{python} -c '
import sys, uuid, grpc
from patron.customer.v1 import customer_pb2, customer_service_pb2, customer_service_pb2_grpc
customers = customer_service_pb2_grpc.CustomerServiceStub(grpc.insecure_channel("{target}"))
draft = customer_pb2.CustomerDraft(name="Ada")
request = customer_service_pb2.CreateCustomerRequest(request_id=str(uuid.uuid4()), customer=draft)
print(customers.CreateCustomer(request, metadata=[("authorization", "Bearer " + sys.argv[1])]))
' "$TOKEN"

Real purchases and what they say: {patron} demo --data-dir {data_dir}
Ctrl-C stops the server.
"""


def welcome(settings: Settings, server: "RunningServer") -> None:
    """Print a token of the demo merchant and a first call to paste."""
    token = sign(
        settings,
        DEMO_MERCHANT_ID,
        subject="developer",
        scopes=all_scopes(),
        lifetime=_TOKEN_HOURS * 3600,
    )
    python = shlex.quote(sys.executable)
    script = Path(sys.executable).with_name("patron")
    click.echo(
        _WELCOME.format(
            target=server.target,
            merchant=DEMO_MERCHANT_ID,
            hours=_TOKEN_HOURS,
            token=token,
            request_id=uuid.uuid4(),
            python=python,
            patron=shlex.quote(str(script)) if script.exists() else f"{python} -m server.cli",
            data_dir=shlex.quote(str(settings.data_dir.resolve())),
        )
    )
