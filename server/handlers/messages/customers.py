"""Customers as messages."""

from uuid import UUID

from domain.model.customer import UPDATABLE, Customer, CustomerDraft, CustomerUpdate, masked
from patron.customer.v1 import customer_pb2
from patron.customer.v1.customer_service_pb2 import UpdateCustomerRequest
from server.handlers.messages.times import from_instant


def to_draft(message: customer_pb2.CustomerDraft, digest: bytes) -> CustomerDraft:
    """Return a draft, with the keyed hash of its message."""
    return CustomerDraft(
        id=UUID(message.id) if message.id else None,
        external_id=message.external_id,
        name=message.name,
        phone=message.phone,
        note=message.note,
        digest=digest,
    )


def to_update(request: UpdateCustomerRequest) -> CustomerUpdate:
    """Return what a request wants to change; raises InvalidRequestError for a wrong mask."""
    message = request.customer
    paths = tuple(request.update_mask.paths) or None
    return CustomerUpdate(
        id=UUID(message.id),
        etag=message.etag,
        values=masked({field: getattr(message, field) for field in UPDATABLE}, paths),
    )


def from_customer(customer: Customer) -> customer_pb2.Customer:
    """Return a customer as a message."""
    return customer_pb2.Customer(
        id=str(customer.id),
        external_id=customer.external_id,
        name=customer.name,
        phone=customer.phone,
        note=customer.note,
        create_time=from_instant(customer.created_at),
        update_time=from_instant(customer.updated_at),
        etag=customer.etag,
    )
