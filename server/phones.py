"""Phone numbers, by libphonenumber."""

import phonenumbers

from domain.errors import FieldViolation, InvalidRequestError, Reason


def parse_phone(text: str, region: str, field: str) -> str:
    """Return a phone number in E.164; the port is `domain.ports.PhoneParser`."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise _invalid(field) from error
    if not phonenumbers.is_possible_number(number):
        raise _invalid(field)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _invalid(field: str) -> InvalidRequestError:
    return InvalidRequestError(
        Reason.PHONE_INVALID,
        "not a phone number that can be dialled",
        violations=[
            FieldViolation(
                field, "must have its country code, or be as it is dialled in the merchant's region"
            )
        ],
    )
