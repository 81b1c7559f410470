"""Options and kinds of values that several commands take."""

import re
from pathlib import Path

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_LONGEST_NAME = 200

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The directory of the embedded databases.  [default: PATRON_DATA_DIR, or .patron]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


def duration(text: str) -> float:
    """Return the seconds of a duration such as 30s, 15m, 12h or 7d."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a duration such as 30s, 15m, 12h or 7d.")
    return float(int(found[1]) * _UNITS[found[2]])


def merchant_name(text: str) -> str:
    """Return the name of a merchant, which is neither blank nor too long."""
    name = text.strip()
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise click.BadParameter(f"A name has 1 to {_LONGEST_NAME} characters.")
    return name


def currency(text: str) -> str:
    """Return the code of a currency that has an amount of minor units; lower case is taken too."""
    import iso4217

    try:
        found = iso4217.Currency(text.upper())
    except ValueError:
        found = None
    if found is None or found.exponent is None:
        raise click.BadParameter(f"{text!r} is not the ISO 4217 code of a currency, such as USD.")
    return found.code


def time_zone(text: str) -> str:
    """Return the name of a time zone."""
    import zoneinfo

    # Only a name of the list: a zone is also found by a path in other letters on some systems.
    if text not in zoneinfo.available_timezones():
        raise click.BadParameter(
            f"{text!r} is not the IANA name of a time zone, such as America/New_York."
        )
    return text


def region(text: str) -> str:
    """Return the code of a region that has phone numbers; lower case is taken too."""
    import phonenumbers

    if text.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise click.BadParameter(f"{text!r} is not the ISO 3166 code of a region, such as US.")
    return text.upper()
