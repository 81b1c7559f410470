"""The first calls of the README work as they stand there."""

import asyncio
import os
import re
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from patron.bill.v1.bill_pb2 import BILL_STATUS_OPEN
from patron.bill.v1.bill_service_pb2 import CreateBillRequest
from tests.support.service import Client, Service

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESS = "127.0.0.1:50051"


def block(pattern: str) -> str:
    """Return what the pattern captures in the README, where it is once."""
    [found] = re.findall(pattern, README, re.DOTALL)
    return str(found)


async def test_the_python_script(service: Service, client: Client) -> None:
    """Pasted into a file and run with a token, the script prints what the README says."""
    script = block(r"```python\n(.*?)```")
    assert ADDRESS in script
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script.replace(ADDRESS, service.target)),
        env={**os.environ, "TOKEN": service.token(client.merchant_id)},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()

    assert process.returncode == 0
    assert printed.decode() == block(r"On new data it prints:\n\n```text\n(.*?)```")


async def test_the_grpcurl_call(client: Client) -> None:
    """The request of the call makes a bill, and sent again it makes no other one."""
    body = block(r"```sh\ngrpcurl .*? -d '(.*?)' ")
    request = json_format.Parse(body, CreateBillRequest())
    answer = await client.bills.CreateBill(request)
    again = await client.bills.CreateBill(request)

    assert answer.bill.status == BILL_STATUS_OPEN
    assert again == answer


async def test_the_error(client: Client) -> None:
    """Without a phone the call is refused with the error that the README shows."""
    request = json_format.Parse(block(r"```sh\ngrpcurl .*? -d '(.*?)' "), CreateBillRequest())
    request.bill.ClearField("customer")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.bills.CreateBill(request)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert f"  Message: {refused.value.details()}\n" in README
