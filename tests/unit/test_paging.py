"""Pages of lists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.paging import PageRequest, page_size


@settings(deadline=None)
@given(st.sets(st.integers(0, 99), max_size=30).map(sorted), st.integers(1, 31))
def test_pages_make_up_the_list(items: list[int], size: int) -> None:
    """Page after page, every item comes once, and only the last page says that it is the last."""
    seen: list[int] = []
    request = PageRequest(size, None)
    while True:
        after = -1 if request.after is None else request.after[0]
        found = [item for item in items if (item,) > (after,)][: size + 1]
        page = request.cut(found, lambda last: (last,))
        seen += page.items
        if page.next is None:
            break
        assert len(page.items) == size
        request = PageRequest(size, page.next)
    assert seen == items


@pytest.mark.parametrize("requested, size", [(0, 50), (1, 1), (500, 500), (501, 500)])
def test_a_page_has_the_asked_size_within_the_limit(requested: int, size: int) -> None:
    """Nothing asked is the default, and too much is lowered."""
    assert page_size(requested, default=50, maximum=500) == size
