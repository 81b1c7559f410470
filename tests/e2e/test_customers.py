"""What a client sees of customers."""

from typing import Any
from uuid import uuid4

import grpc
import pytest

from patron.customer.v1.customer_pb2 import Customer
from patron.customer.v1.customer_service_pb2 import GetCustomerRequest
from tests.support.bills import create_bill
from tests.support.chain_server import Refusal, refusal
from tests.support.drafts import create_customer, update_customer
from tests.support.service import Client, Service


async def create(client: Client, **fields: str) -> Customer:
    """Create a customer and return it."""
    answer = await client.customers.CreateCustomer(create_customer(**fields))
    customer: Customer = answer.customer
    return customer


async def update(client: Client, customer_id: str, *paths: str, **fields: Any) -> Customer:
    """Update a customer and return it."""
    answer = await client.customers.UpdateCustomer(update_customer(customer_id, *paths, **fields))
    customer: Customer = answer.customer
    return customer


async def get(client: Client, customer_id: str) -> Customer:
    """Return a customer."""
    answer = await client.customers.GetCustomer(GetCustomerRequest(customer_id=customer_id))
    customer: Customer = answer.customer
    return customer


async def refused(client: Client, customer_id: str, *paths: str, **fields: Any) -> Refusal:
    """Return how an update fails."""
    return await refusal(
        client.customers.UpdateCustomer(update_customer(customer_id, *paths, **fields))
    )


def texts(customer: Customer) -> tuple[str, str, str, str]:
    """Return what may be updated."""
    return customer.external_id, customer.name, customer.phone, customer.note


async def test_a_customer_is_shown_as_created(client: Client) -> None:
    """GetCustomer shows the draft, its phone in E.164, with the id that the client chose."""
    customer_id = str(uuid4())
    made = await create(
        client, id=customer_id, external_id="7", name="Chen", phone="(415) 555-2671", note="VIP"
    )
    assert made.id == customer_id
    assert texts(made) == ("7", "Chen", "+14155552671", "VIP")
    assert made.create_time == made.update_time
    assert await get(client, customer_id) == made


async def test_a_customer_needs_nothing(client: Client) -> None:
    """A draft without any field makes a customer with an id of the server's."""
    one, other = await create(client), await create(client)
    assert texts(one) == ("", "", "", "")
    assert one.id != other.id


async def test_the_same_draft_makes_one_customer(client: Client) -> None:
    """A draft whose id is there gives that customer as it is; another draft is ALREADY_EXISTS."""
    draft = {"id": str(uuid4()), "name": "Chen"}
    made = await create(client, **draft)
    changed = await update(client, made.id, name="Cheng")
    assert await create(client, **draft) == changed
    refusal_ = await refusal(
        client.customers.CreateCustomer(create_customer(**draft | {"name": "Cheng"}))
    )
    assert refusal_.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal_.reason == "CUSTOMER_ALREADY_EXISTS"


@pytest.mark.parametrize(
    "field, mine, theirs, reason",
    [
        ("phone", "+1 415 555 2671", "4155552671", "PHONE_TAKEN"),
        ("external_id", "7", "7", "EXTERNAL_ID_TAKEN"),
    ],
)
async def test_what_is_taken_names_its_owner(
    client: Client, field: str, mine: str, theirs: str, reason: str
) -> None:
    """A phone or an external id of another customer is ALREADY_EXISTS, which says whose it is."""
    owner = await create(client, **{field: mine})
    other = await create(client, name="Chen")
    for refusal_ in (
        await refusal(client.customers.CreateCustomer(create_customer(**{field: theirs}))),
        await refused(client, other.id, **{field: theirs}),
    ):
        assert refusal_.code is grpc.StatusCode.ALREADY_EXISTS
        assert refusal_.reason == reason
        assert dict(refusal_.info.metadata) == {"customer_id": owner.id}
        assert list(refusal_.fields) == [f"customer.{field}"]
    assert texts(await get(client, other.id)) == ("", "Chen", "", "")


async def test_phones_are_read_in_the_merchants_region(service: Service) -> None:
    """A number without a country code is one of the merchant's country."""
    merchant_id = await service.create_merchant(
        currency="INR", time_zone="Asia/Kolkata", region="IN"
    )
    async with service.client(merchant_id) as client:
        assert (await create(client, phone="098765 43210")).phone == "+919876543210"
        assert (await create(client, phone="+1 415 555 2671")).phone == "+14155552671"
        refusal_ = await refusal(client.customers.CreateCustomer(create_customer(phone="12")))
        assert refusal_.reason == "PHONE_INVALID"
        assert list(refusal_.fields) == ["customer.phone"]


async def test_an_update_without_a_mask_changes_what_is_not_empty(client: Client) -> None:
    """Fields that are empty in an update without a mask stay as they are."""
    made = await create(client, external_id="7", name="Chen", phone="4155552671", note="VIP")
    changed = await update(client, made.id, name="Cheng")
    assert texts(changed) == ("7", "Cheng", "+14155552671", "VIP")
    assert changed.create_time == made.create_time
    assert changed.update_time.ToNanoseconds() > made.update_time.ToNanoseconds()
    assert changed.etag != made.etag
    assert await get(client, made.id) == changed


async def test_an_empty_mask_is_none(client: Client) -> None:
    """A mask without paths, as JSON clients send one, is as good as none."""
    made = await create(client, name="Chen")
    request = update_customer(made.id, name="Cho")
    request.update_mask.SetInParent()
    assert (await client.customers.UpdateCustomer(request)).customer.name == "Cho"


async def test_a_mask_names_what_changes(client: Client) -> None:
    """Named fields change, to empty ones too; fields that are not named do not."""
    made = await create(client, external_id="7", name="Chen", phone="4155552671", note="VIP")
    changed = await update(client, made.id, "note", "name", name="Cheng", external_id="8")
    assert texts(changed) == ("7", "Cheng", "+14155552671", "")


async def test_a_star_replaces_everything(client: Client) -> None:
    """The mask `*` clears what is empty."""
    made = await create(client, external_id="7", name="Chen", phone="4155552671", note="VIP")
    assert texts(await update(client, made.id, "*", name="Cheng")) == ("", "Cheng", "", "")


@pytest.mark.parametrize("path", ["id", "etag", "create_time", "nickname", "name.first", "name,*"])
async def test_a_mask_names_nothing_else(client: Client, path: str) -> None:
    """A path that is unknown or read-only is INVALID_ARGUMENT, and nothing changes."""
    made = await create(client, name="Chen")
    refusal_ = await refused(client, made.id, *path.split(","), name="Cheng")
    assert refusal_.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal_.reason == "FIELD_INVALID"
    assert list(refusal_.fields) == ["update_mask"]
    assert await get(client, made.id) == made


async def test_a_stale_etag_is_aborted(client: Client) -> None:
    """Of two who read the same, one changes the customer; the other must read again."""
    read = await create(client, name="Chen")
    changed = await update(client, read.id, name="Cheng", etag=read.etag)
    refusal_ = await refused(client, read.id, note="VIP", etag=read.etag)
    assert refusal_.code is grpc.StatusCode.ABORTED
    assert refusal_.reason == "ETAG_STALE"
    assert await get(client, read.id) == changed
    assert (await update(client, read.id, note="VIP", etag=changed.etag)).note == "VIP"


async def test_an_update_that_changes_nothing_leaves_the_etag(client: Client) -> None:
    """A customer that already is as asked stays as it is, to its etag and its times."""
    made = await create(client, name="Chen", phone="4155552671")
    assert await update(client, made.id, name="Chen", phone="+1 415 555 2671") == made


async def test_a_bill_leaves_the_customer_as_it_is(client: Client) -> None:
    """A bill changes the customer's totals, and neither the customer nor its etag."""
    made = await create(client, name="Chen", phone="4155552671")
    bill = await create_bill(client, phone="415 555 2671", customer_name="Somebody")
    assert bill.customer_id == made.id
    assert await get(client, made.id) == made


async def test_a_phone_moves(client: Client) -> None:
    """A phone that one customer gives up is free for another, and bills follow it."""
    one, other = await create(client, phone="4155552671"), await create(client)
    await update(client, one.id, "phone")
    assert (await get(client, one.id)).phone == ""
    assert (await update(client, other.id, phone="4155552671")).phone == "+14155552671"
    assert (await create_bill(client, phone="4155552671")).customer_id == other.id
    changed = await update(client, other.id, phone="4155552672")
    assert changed.phone == "+14155552672"
    fresh = await create_bill(client, phone="4155552671", customer_name="Dana")
    assert fresh.customer_id not in (one.id, other.id)
    assert texts(await get(client, fresh.customer_id)) == ("", "Dana", "+14155552671", "")


async def test_an_external_id_moves(client: Client) -> None:
    """An external id that one customer gives up is free for another."""
    one, other = await create(client, external_id="7"), await create(client)
    await update(client, one.id, external_id="8")
    assert (await update(client, other.id, external_id="7")).external_id == "7"
    assert (await create_bill(client, external_id="8")).customer_id == one.id


async def test_who_is_not_there_is_not_found(client: Client) -> None:
    """An id that no customer has is NOT_FOUND, to read, to change and to bill."""
    nobody = str(uuid4())
    for call in (
        client.customers.GetCustomer(GetCustomerRequest(customer_id=nobody)),
        client.customers.UpdateCustomer(update_customer(nobody, name="Chen")),
    ):
        refusal_ = await refusal(call)
        assert refusal_.code is grpc.StatusCode.NOT_FOUND
        assert refusal_.reason == "CUSTOMER_NOT_FOUND"
