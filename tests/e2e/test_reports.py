"""What a client sees of reports, beside their figures."""

import pytest

from patron.analytics.v1.analytics_pb2 import CUSTOMER_RANKING_SALES, Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest, ListTopCustomersRequest
from tests.support.bills import create_bill
from tests.support.chain_server import refusal
from tests.support.service import Client


async def test_an_empty_mask_is_none(client: Client) -> None:
    """A read mask without paths, as JSON clients send one, is as good as none."""
    bill = await create_bill(client, 500, phone="4155552671")
    request = GetSummaryRequest(period=Period(from_day=bill.business_day, to_day=bill.business_day))
    everything = await client.analytics.GetSummary(request)
    request.read_mask.SetInParent()
    masked = await client.analytics.GetSummary(request)
    assert masked.current == everything.current
    assert masked.current.sales_minor == 500


async def test_a_month_is_one_of_the_calendar(client: Client) -> None:
    """A month that the calendar lacks is refused as a month."""
    request = ListTopCustomersRequest(ranking=CUSTOMER_RANKING_SALES, month="2024-13")
    refused = await refusal(client.analytics.ListTopCustomers(request))
    assert refused.fields == {"month": "must be a month of the calendar, as YYYY-MM"}


@pytest.mark.parametrize("days", [30, 3000])
async def test_any_deadline_will_do(client: Client, days: int) -> None:
    """A deadline far ahead is a deadline like any other."""
    period = Period(from_day="2024-01-01", to_day="2024-01-31")
    answer = await client.analytics.GetSummary(
        GetSummaryRequest(period=period), timeout=days * 86400
    )
    assert answer.current.bills == 0
