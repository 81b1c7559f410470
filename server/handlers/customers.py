"""CustomerService."""

from datetime import datetime
from typing import Any
from uuid import UUID

import grpc.aio

from domain.use_cases.customers import Customers
from patron.customer.v1 import customer_service_pb2 as messages
from patron.customer.v1.customer_service_pb2_grpc import CustomerServiceServicer
from server.call import current_caller
from server.handlers.digests import Digests
from server.handlers.messages.customers import from_customer, to_draft, to_update
from server.handlers.page_tokens import PageTokens
from server.handlers.trailers import tell_written

Context = grpc.aio.ServicerContext[Any, Any]


class CustomerHandler(CustomerServiceServicer):
    """Serves CustomerService."""

    def __init__(self, customers: Customers, digests: Digests, pages: PageTokens) -> None:
        self._customers = customers
        self._digests = digests
        self._pages = pages

    async def CreateCustomer(
        self, request: messages.CreateCustomerRequest, context: Context
    ) -> messages.CreateCustomerResponse:
        key = self._digests.key(request, request.customer)
        draft = to_draft(request.customer, key.digest)
        written = await self._customers.create(current_caller(), key, draft)
        tell_written(context, written.current, replayed=written.replayed)
        return messages.CreateCustomerResponse(
            customer=from_customer(written.value), revision=str(written.revision)
        )

    async def GetCustomer(
        self, request: messages.GetCustomerRequest, context: Context
    ) -> messages.GetCustomerResponse:
        customer = await self._customers.get(current_caller(), UUID(request.customer_id))
        return messages.GetCustomerResponse(customer=from_customer(customer))

    async def ListCustomers(
        self, request: messages.ListCustomersRequest, context: Context
    ) -> messages.ListCustomersResponse:
        caller = current_caller()
        asked = self._pages.page(caller, request, tuple[datetime, UUID], default=50, maximum=1000)
        page = await self._customers.list(caller, asked)
        return messages.ListCustomersResponse(
            customers=map(from_customer, page.items),
            next_page_token=self._pages.next(caller, request, page.next),
        )

    async def UpdateCustomer(
        self, request: messages.UpdateCustomerRequest, context: Context
    ) -> messages.UpdateCustomerResponse:
        key = self._digests.key(request, request)
        written = await self._customers.update(current_caller(), key, to_update(request))
        tell_written(context, written.current, replayed=written.replayed)
        return messages.UpdateCustomerResponse(
            customer=from_customer(written.value), revision=str(written.revision)
        )
