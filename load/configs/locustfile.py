"""Users of the merchants' app for locust: `locust -f load/configs/locustfile.py --rows FILE`.

The mix of `users.toml`, for its web interface, for workers on several machines, and as a
beginning for users that do what no scenario says.
"""

import random
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from locust import between, events, task

from load.data.rows import Row, read_rows
from load.locust_plugin import GrpcUser
from patron.analytics.v1.analytics_pb2 import Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest
from patron.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from patron.bill.v1.bill_pb2 import PAYMENT_METHOD_CASH, BillDraft, BillLine, Payment
from patron.bill.v1.bill_service_pb2 import CreateBillRequest
from patron.bill.v1.bill_service_pb2_grpc import BillServiceStub
from patron.customer.v1.customer_service_pb2 import GetCustomerRequest, ListCustomersRequest
from patron.customer.v1.customer_service_pb2_grpc import CustomerServiceStub

_BILLED = 10
"""Of how many merchants the bills are: each evicts the answers of its merchant."""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--rows",
        default="build/load/merchants.jsonl",
        help="The merchants, as `make load` writes them.",
    )


events.init_command_line_parser.add_listener(_add_arguments)


class Merchant(GrpcUser):
    """Someone who looks at reports and customers, and now and then sells something."""

    host = "127.0.0.1:50051"
    insecure = True
    own_connection = True
    timeout = "10s"
    wait_time = between(0.1, 0.3)
    _rows: ClassVar[list[Row]] = []

    def on_start(self) -> None:
        """Learn which merchants there are."""
        if not self._rows:
            self._rows.extend(read_rows(Path(self.environment.parsed_options.rows)))
        channel: Any = self.channel
        self.analytics: Any = AnalyticsServiceStub(channel)
        self.customers: Any = CustomerServiceStub(channel)
        self.bills: Any = BillServiceStub(channel)

    @task(60)
    def look_at_sales(self) -> None:
        """Ask for the summary of the last days."""
        row = random.choice(self._rows)
        period = Period(from_day=row["from_day"], to_day=row["to_day"])
        self.analytics.GetSummary(GetSummaryRequest(period=period), metadata=_token(row))

    @task(20)
    def look_at_a_customer(self) -> None:
        """Ask for one customer."""
        row = random.choice(self._rows)
        request = GetCustomerRequest(customer_id=random.choice(row["customers"]))
        self.customers.GetCustomer(request, metadata=_token(row))

    @task(10)
    def look_at_all_customers(self) -> None:
        """Ask for the first page of them."""
        row = random.choice(self._rows)
        self.customers.ListCustomers(ListCustomersRequest(page_size=20), metadata=_token(row))

    @task(10)
    def sell(self) -> None:
        """Create a bill that is paid at once."""
        row = random.choice(self._rows[:_BILLED])
        bill = BillDraft(
            customer_id=random.choice(row["customers"]),
            currency="USD",
            lines=[BillLine(description="Espresso", quantity_milli=2000, unit_price_minor=320)],
            payments=[Payment(amount_minor=640, method=PAYMENT_METHOD_CASH)],
        )
        request = CreateBillRequest(request_id=str(uuid4()), bill=bill)
        self.bills.CreateBill(request, metadata=_token(row))


def _token(row: Row) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {row['token']}"),)
