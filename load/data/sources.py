"""Sources of what calls send: from the options of a run, or for a call of a scenario."""

from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from load.calls import Metadata, Method, Moment, Payload, Source
from load.config.model import Config
from load.data.batches import Batch, Messages, batches_of, named
from load.data.choosing import ByNumber, Choice, Order
from load.data.inputs import Given, given_data, given_metadata
from load.data.making import Maker, Values
from load.data.metadata import Maker as MetadataMaker
from load.data.metadata import metadata_of
from load.data.rows import Row
from load.data.variables import ROW, Variables, changing
from load.errors import ConfigError, DataError

_TRIAL = Moment(number=0, worker="g0c0")


def source_of(config: Config, method: Method, stdin: BinaryIO) -> Source:
    """Return what the calls of a run send.

    An array is used in turn by the number of the call; a client that streams sends all of it.
    What no template changes is encoded now, and of the rest a trial is made, so that no error in
    the data waits for the run.

    Args:
        config: The options of the run.
        method: What is called.
        stdin: Is read if data is to come from it.

    Raises:
        DataError: The data makes no message, or the metadata none that gRPC takes.
        ConfigError: Messages of a stream can't be made anew, as they never change.
    """
    templates, functions = not config.disable_template_data, not config.disable_template_functions
    given = given_data(config, stdin)
    if config.stream_dynamic_messages and given.binary:
        raise ConfigError("stream-dynamic-messages: cannot be used with binary data")
    anew = config.stream_dynamic_messages and method.kind.client_streams
    batches = batches_of(given, method, templates=templates, functions=functions)
    if anew and not any(map(callable, batches)):
        raise ConfigError("stream-dynamic-messages: cannot be used without templates in the data")
    _check_count(config.stream_call_count, batches)
    metadata = _metadata(given_metadata(config), templates=templates, functions=functions)
    return _source(
        method,
        batches,
        metadata,
        choice=ByNumber(len(batches)),
        label=lambda index: f"{given.where}[{index}]" if len(batches) > 1 else given.where,
        anew=anew,
    )


def source_of_call(
    method: Method,
    data: object,
    metadata: Mapping[str, str],
    *,
    rows: Sequence[Row] | None = None,
    order: Order = Order.IN_TURN,
    count: int = 0,
) -> Source:
    """Return what a call of a scenario sends.

    Templates in the data and the metadata have the row as `.Row`. What depends on the row alone is
    encoded once for each. Every row is tried now.

    Args:
        method: What is called.
        data: A JSON object, or an array of them: all of it is sent by a client that streams, else
            one by `order`, which needs that there are no rows.
        metadata: By key.
        rows: Of a data file.
        order: In which order rows are used.
        count: How many messages a stream sends; 0: all of the data.

    Raises:
        DataError: With a row, the data makes no message, or the metadata none that gRPC takes.
        ConfigError: A number of messages shall be sent, and there is none.
    """
    batches = batches_of(Given("data", value=data), method)
    _check_count(count, batches)
    if rows is None:
        return _source(
            method,
            batches,
            _metadata(metadata),
            choice=order.choice(len(batches)),
            label=lambda index: f"data[{index}]" if len(batches) > 1 else "data",
        )
    if len(batches) > 1:
        raise DataError("data: is an array, and rows are given as well: only a stream sends both")
    return _source(
        method,
        [*batches] * len(rows),
        _metadata(metadata),
        rows=rows,
        choice=order.choice(len(rows)),
        label=lambda _: "data",
    )


def _check_count(count: int, batches: Sequence[Batch]) -> None:
    if count and not all(batches):
        raise ConfigError("stream-call-count: cannot be used with an empty array of data")


class Fixed:
    """What is sent is always the same, or one of several."""

    def __init__(self, payloads: Sequence[Payload], choice: Choice) -> None:
        self._payloads = payloads
        self._choice = choice

    def payload(self, moment: Moment) -> Payload:
        """Return what a call sends."""
        return self._payloads[self._choice(moment)]


class Made:
    """What is sent is made for each call, as far as it changes."""

    def __init__(
        self,
        batches: Sequence[Batch],
        metadata: Sequence[Metadata | MetadataMaker],
        variables: Variables,
        *,
        rows: Sequence[Row] | None,
        choice: Choice,
        streams: bool,
        samples: Sequence[Messages] | None,
    ) -> None:
        self._batches = batches
        self._metadata = metadata
        self._variables = variables
        self._rows = rows
        self._choice = choice
        self._streams = streams
        self._samples = samples

    def payload(self, moment: Moment) -> Payload:
        """Return what a call sends.

        Raises:
            DataError: A template fails, or what it gives is no message.
        """
        index = self._choice(moment)
        try:
            return self._payload(moment, index)
        except DataError as error:
            raise DataError(f"call {moment.number}: {error}") from None

    def _payload(self, moment: Moment, index: int) -> Payload:
        values = self.values(moment, index)
        metadata = self._metadata[index]
        if callable(metadata):
            metadata = metadata(values)
        batch = self._batches[index]
        if not callable(batch):
            return Payload(batch, metadata)
        if self._samples is not None:
            return Payload(self._samples[index], metadata, _Anew(self, batch, moment, index))
        messages = batch(values)
        if not messages:
            raise DataError("the data gives no message")
        if not self._streams:
            messages = (messages[moment.number % len(messages)],)
        return Payload(messages, metadata)

    def values(self, moment: Moment, index: int) -> Values:
        """Return the values of the variables for a call, those of its time and UUID anew."""
        values = self._variables.at(moment)
        if self._rows is not None:
            values[ROW] = self._rows[index]
        return values


class _Anew:
    """Makes each message of a stream at the moment that it is sent."""

    __slots__ = ("_batch", "_index", "_moment", "_source")

    def __init__(self, source: Made, batch: Maker, moment: Moment, index: int) -> None:
        self._source = source
        self._batch = batch
        self._moment = moment
        self._index = index

    def __call__(self, index: int) -> bytes:
        return self._batch.one(index, self._source.values(self._moment, self._index))


def _source(
    method: Method,
    batches: Sequence[Batch],
    metadata: Metadata | MetadataMaker,
    *,
    choice: Choice,
    label: Callable[[int], str],
    rows: Sequence[Row] | None = None,
    anew: bool = False,
) -> Source:
    """Return a source, after a trial of each batch; if there are rows, with the row of each."""
    variables = Variables(method)
    streams = method.kind.client_streams
    samples: list[Messages] = []
    kept: list[Batch] = []
    headers: list[Metadata | MetadataMaker] = []
    for index, batch in enumerate(batches):
        values = variables.at(_TRIAL) | ({ROW: rows[index]} if rows is not None else {})
        row = "" if rows is None else f" with row {index + 1}"
        with named(label(index) + row):
            sample = tuple(batch(values)) if callable(batch) else batch
            if not sample and not streams:
                raise DataError("gives no message")
        with named(f"metadata{row}"):
            header = metadata(values) if callable(metadata) else metadata
        samples.append(sample)
        # What gives several messages for one call is asked each time, for another of them.
        stays = streams or len(sample) == 1
        kept.append(sample if stays and not anew and not _changing(batch) else batch)
        headers.append(metadata if _changing(metadata) else header)
    fixed = [
        Payload(messages, header)
        for messages, header in zip(kept, headers, strict=True)
        if not callable(messages) and not callable(header)
    ]
    if len(fixed) == len(batches):
        return Fixed(fixed, choice)
    return Made(
        kept,
        headers,
        variables,
        rows=rows,
        choice=choice,
        streams=streams,
        samples=samples if anew else None,
    )


def _changing(made: Batch | Metadata | MetadataMaker) -> bool:
    """Return whether something may be made another way for another call, with the same row."""
    return callable(made) and any(
        not template.pure or changing(template.names) for template in made.templates
    )


def _metadata(
    given: str | Mapping[str, str], *, templates: bool = True, functions: bool = True
) -> Metadata | MetadataMaker:
    with named("metadata"):
        return metadata_of(given, templates=templates, functions=functions)
