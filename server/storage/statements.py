"""SQL, built and compiled once by SQLAlchemy Core, then run on asyncpg connections."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    bindparam,
    column,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import Insert, asyncpg, insert
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.selectable import TableValuedAlias

from server.storage.schema import merchant

_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Statement:
    """A compiled statement and the order of its parameters."""

    def __init__(self, clause: Executable) -> None:
        compiled = clause.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        self.sql: Final[str] = compiled.string
        self._literals: Final[Mapping[str, Any]] = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self._order: Final[Sequence[str]] = compiled.positiontup or ()

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values of the named parameters in the order of `sql`.

        Raises:
            KeyError: One has no value.
        """
        return [
            self._literals[name] if name in self._literals else values[name] for name in self._order
        ]


def parameter(target: ColumnElement[Any], name: str | None = None) -> BindParameter[Any]:
    """Return a parameter of the type of a column, named like it unless told otherwise."""
    return bindparam(name or target.key, type_=target.type)


MERCHANT_ID: Final = bindparam("merchant_id", type_=merchant.c.merchant_id.type)
"""The parameter that every statement has."""
OWN_MERCHANT: Final = merchant.c.merchant_id == MERCHANT_ID


def of_merchant(table: FromClause) -> ColumnElement[bool]:
    """Return the predicate that keeps other merchants' rows out."""
    return table.c.merchant_id == MERCHANT_ID


def page_of(page: Select[Any], *of_own: ColumnElement[Any]) -> Select[Any]:
    """Return the first rows of a selection, next to columns of the merchant.

    There is always a row when the merchant is known: one with nulls where nothing was selected. How
    many rows there are at most is the parameter `limit`.
    """
    limited = page.limit(bindparam("limit", type_=BigInteger)).lateral("page")
    return (
        select(*of_own, *limited.c)
        .select_from(merchant.outerjoin(limited, true()))
        .where(OWN_MERCHANT)
    )


def rows(table: Table, *names: str) -> TableValuedAlias:
    """Return rows that come as one array parameter for each column; see `arrays`."""
    arrays_ = [
        bindparam(f"{table.name}__{name}", type_=ARRAY(table.c[name].type)) for name in names
    ]
    return (
        func.unnest(*arrays_)
        .table_valued(*(column(name, table.c[name].type) for name in names))
        .render_derived(name=f"new_{table.name}")
    )


def arrays(table: Table, names: Sequence[str], values: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """Return the parameters of `rows` for these rows."""
    columns: Iterable[Sequence[Any]] = zip(*values, strict=True)
    by_name = dict(zip(names, columns, strict=False))
    return {f"{table.name}__{name}": by_name.get(name, ()) for name in names}


def insert_rows(table: Table, *names: str, same: Sequence[str] = ()) -> Insert:
    """Return the insertion of `rows` for the merchant of the parameter `merchant_id`.

    Args:
        table: The table.
        names: The columns of the rows.
        same: Columns with one value for all rows, each a parameter of the column's name.
    """
    new = rows(table, *names)
    scalars = [parameter(table.c[name]) for name in same]
    return insert(table).from_select(
        ["merchant_id", *same, *names], select(MERCHANT_ID, *scalars, *new.c)
    )


Merge = Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[Any]]


def added(stored: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    """Merge a column by adding what is new."""
    return stored + new


def replaced(_stored: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    """Merge a column by taking what is new."""
    return new


def earliest(stored: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    """Merge a column by taking the lower value."""
    return func.least(stored, new)


def latest(stored: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    """Merge a column by taking the higher value."""
    return func.greatest(stored, new)


def merge_rows(
    table: Table, key: Sequence[str], merges: Mapping[str, Merge], same: Sequence[str] = ()
) -> Insert:
    """Return the insertion of `rows`, merged into those that are there.

    Args:
        table: The table.
        key: The columns of its primary key.
        merges: How each other column is merged.
        same: Columns with one value for all rows; it replaces what is there.
    """
    statement = insert_rows(table, *key, *merges, same=same)
    merged = {
        name: merge(table.c[name], statement.excluded[name]) for name, merge in merges.items()
    }
    return statement.on_conflict_do_update(
        constraint=table.primary_key,
        set_={**merged, **{name: statement.excluded[name] for name in same}},
    )
