"""What an update mask names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.model.customer import UPDATABLE, masked

_VALUES = st.fixed_dictionaries({field: st.sampled_from(["", "x"]) for field in UPDATABLE})


@settings(deadline=None)
@given(_VALUES, st.lists(st.sampled_from(UPDATABLE)))
def test_a_mask_takes_what_it_names(values: dict[str, str], paths: list[str]) -> None:
    """Named fields are taken, empty or not; without a mask what is not empty; `*` is all."""
    assert masked(values, tuple(paths)) == {path: values[path] for path in paths}
    assert masked(values, None) == {field: value for field, value in values.items() if value}
    assert masked(values, ("*",)) == values


@pytest.mark.parametrize("path", ["id", "etag", "update_time", "phones", "name.first", "", "* "])
def test_a_mask_names_nothing_that_cannot_be_updated(path: str) -> None:
    """Unknown and read-only paths are refused, each by its name."""
    with pytest.raises(InvalidRequestError, match="update_mask") as refused:
        masked(dict.fromkeys(UPDATABLE, "x"), ("name", path))
    [violation] = refused.value.violations
    assert repr(path) in violation.description
