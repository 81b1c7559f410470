"""BillService."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import grpc.aio

from domain.model.bill import BillDraft
from domain.use_cases.bills import Bills
from patron.bill.v1 import bill_service_pb2 as messages
from patron.bill.v1.bill_service_pb2_grpc import BillServiceServicer
from server.call import current_caller
from server.handlers.digests import Digests
from server.handlers.messages.bills import from_bill, to_draft, to_filter
from server.handlers.page_tokens import PageTokens
from server.handlers.trailers import tell_written

Context = grpc.aio.ServicerContext[Any, Any]


class BillHandler(BillServiceServicer):
    """Serves BillService."""

    def __init__(self, bills: Bills, digests: Digests, pages: PageTokens) -> None:
        self._bills = bills
        self._digests = digests
        self._pages = pages

    async def CreateBill(
        self, request: messages.CreateBillRequest, context: Context
    ) -> messages.CreateBillResponse:
        key = self._digests.key(request, request.bill)
        draft = to_draft(request.bill, key.digest, "bill")
        written = await self._bills.create(current_caller(), key, draft)
        tell_written(context, written.current, replayed=written.replayed)
        return messages.CreateBillResponse(
            bill=from_bill(written.value), revision=str(written.revision)
        )

    async def GetBill(
        self, request: messages.GetBillRequest, context: Context
    ) -> messages.GetBillResponse:
        bill = await self._bills.get(current_caller(), UUID(request.bill_id))
        return messages.GetBillResponse(bill=from_bill(bill))

    async def ListBills(
        self, request: messages.ListBillsRequest, context: Context
    ) -> messages.ListBillsResponse:
        caller = current_caller()
        asked = self._pages.page(caller, request, tuple[date, int], default=50, maximum=500)
        page = await self._bills.list(caller, to_filter(request), asked)
        return messages.ListBillsResponse(
            bills=map(from_bill, page.items),
            next_page_token=self._pages.next(caller, request, page.next),
        )

    async def ImportBills(
        self, request_iterator: AsyncIterator[messages.ImportBillsRequest], context: Context
    ) -> messages.ImportBillsResponse:
        batches = (self._to_drafts(request) async for request in request_iterator)
        imported = await self._bills.import_batches(current_caller(), batches)
        tell_written(context, imported.revision)
        return messages.ImportBillsResponse(
            created_bills=imported.created_bills,
            existing_bills=imported.existing_bills,
            revision=str(imported.revision),
        )

    def _to_drafts(self, request: messages.ImportBillsRequest) -> list[BillDraft]:
        return [
            to_draft(draft, self._digests.of(draft), f"bills[{index}]")
            for index, draft in enumerate(request.bills)
        ]
