"""From the tree of a template to closures: what can be found out beforehand costs nothing later.

Source: https://pkg.go.dev/text/template.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from load.errors import DataError
from load.templates import nodes
from load.templates.faults import Fault, template_error
from load.templates.functions import METHODS, why_absent
from load.templates.instants import Instant
from load.templates.literals import Number
from load.templates.parsing import DATA
from load.templates.printing import printed
from load.templates.signatures import Parameter, Signature
from load.templates.values import Value, in_order, truth, type_of

Frame: TypeAlias = list[Value]
"""The variables of a body, by slot: `$`, the data of the whole template, and its own."""
Write: TypeAlias = Callable[[str], object]
_Expression: TypeAlias = Callable[[Frame, Value], Value]
Step: TypeAlias = Callable[[Frame, Value, Write], None]
"""What is done with the variables and the dot."""

_LAZY: Final = {"and": False, "or": True}
"""By what truth of an argument the value is found."""

_ABSENT: Final = object()
"""What has no entry in a map: of it, everything is nil."""


class _Break(Exception):
    """The end of a range."""


class _Continue(Exception):
    """On with the next element of a range."""


@dataclass(slots=True)
class _Body:
    """A body that can be executed, once it is compiled."""

    slots: int
    step: Step


def compile_tree(text: str, tree: nodes.Tree, functions: Mapping[str, Signature]) -> Step:
    """Return what executes a template; its frame begins with the data, twice, and has all slots.

    Raises:
        DataError: A function is not there, or called in a wrong way.
    """
    return _Compiler(text, tree, functions).main()


class _Compiler:
    def __init__(self, text: str, tree: nodes.Tree, functions: Mapping[str, Signature]) -> None:
        self._text = text
        self._tree = tree
        self._functions = functions
        self._bodies: dict[str, _Body] = {}

    def main(self) -> Step:
        for name, body in self._tree.definitions.items():
            self._bodies[name] = _Body(body.slots, _nothing)
        for name, body in self._tree.definitions.items():
            self._bodies[name].step = self._steps(body.nodes)
        return self._steps(self._tree.main.nodes)

    def _error(self, at: int, message: str) -> DataError:
        return template_error(self._text, at, message)

    # What is done.

    def _steps(self, of: Iterable[nodes.Node]) -> Step:
        steps = [self._step(node) for node in of]
        if len(steps) == 1:
            return steps[0]

        def run(frame: Frame, dot: Value, write: Write) -> None:
            for step in steps:
                step(frame, dot, write)

        return run

    def _step(self, node: nodes.Node) -> Step:  # noqa: PLR0911 - One for each kind of node.
        match node:
            case nodes.Text(text):
                return lambda _frame, _dot, write: _ignored(write(text))
            case nodes.Print():
                return self._print(node)
            case nodes.If():
                return self._if(node)
            case nodes.With():
                return self._with(node)
            case nodes.Range():
                return self._range(node)
            case nodes.Break():
                return _break
            case nodes.Continue():
                return _continue
            case nodes.Invoke():
                return self._invoke(node)

    def _print(self, node: nodes.Print) -> Step:
        value_of = self._pipeline(node.pipeline)
        at = node.pipeline.at
        if node.pipeline.slots:

            def assign(frame: Frame, dot: Value, _write: Write) -> None:
                value_of(frame, dot)

            return assign

        def put(frame: Frame, dot: Value, write: Write) -> None:
            value = value_of(frame, dot)
            if type(value) is not str:
                try:
                    value = printed(value)
                except Fault as fault:
                    raise self._error(at, str(fault)) from None
            write(value)

        return put

    def _if(self, node: nodes.If) -> Step:
        value_of = self._pipeline(node.pipeline)
        body, otherwise = self._steps(node.body), self._steps(node.otherwise)

        def choose(frame: Frame, dot: Value, write: Write) -> None:
            (body if truth(value_of(frame, dot)) else otherwise)(frame, dot, write)

        return choose

    def _with(self, node: nodes.With) -> Step:
        value_of = self._pipeline(node.pipeline)
        body, otherwise = self._steps(node.body), self._steps(node.otherwise)

        def choose(frame: Frame, dot: Value, write: Write) -> None:
            value = value_of(frame, dot)
            if truth(value):
                body(frame, value, write)
            else:
                otherwise(frame, dot, write)

        return choose

    def _range(self, node: nodes.Range) -> Step:
        value_of = self._pipeline(node.pipeline)
        body, otherwise = self._steps(node.body), self._steps(node.otherwise)
        *index_slot, element_slot = node.pipeline.slots or (None,)

        def repeat(frame: Frame, dot: Value, write: Write) -> None:
            elements = self._elements(value_of(frame, dot), node.pipeline)
            empty = True
            for index, element in elements:
                empty = False
                if element_slot is not None:
                    frame[element_slot] = element
                for slot in index_slot:
                    frame[slot] = index
                try:
                    body(frame, element, write)
                except _Continue:
                    continue
                except _Break:
                    break
            if empty:
                otherwise(frame, dot, write)

        return repeat

    def _elements(self, value: Value, pipeline: nodes.Pipeline) -> Iterable[tuple[Value, Value]]:
        if isinstance(value, list | tuple):
            return enumerate(value)
        if isinstance(value, Mapping):
            return in_order(value)
        if value is None:
            return ()
        if type(value) is int:
            if len(pipeline.slots) > 1:
                raise self._error(pipeline.at, "the numbers up to an integer have no index")
            return ((None, number) for number in range(value))
        raise self._error(pipeline.at, f"{type_of(value)} has no elements to range over")

    def _invoke(self, node: nodes.Invoke) -> Step:
        body = self._bodies.get(node.name)
        if body is None:
            raise self._error(node.at, f"no template {node.name!r} is defined")
        value_of = _nil if node.pipeline is None else self._pipeline(node.pipeline)

        def invoke(frame: Frame, dot: Value, write: Write) -> None:
            value = value_of(frame, dot)
            own = [None] * body.slots
            own[:2] = value, frame[DATA]
            body.step(own, value, write)

        return invoke

    # What is computed.

    def _pipeline(self, pipeline: nodes.Pipeline) -> _Expression:
        value_of = self._command(pipeline.commands[0], None)
        for command in pipeline.commands[1:]:
            value_of = self._command(command, value_of)
        if not pipeline.slots:
            return value_of
        slots = pipeline.slots

        def assign(frame: Frame, dot: Value) -> Value:
            value = value_of(frame, dot)
            for slot in slots:
                frame[slot] = value
            return value

        return assign

    def _command(self, command: nodes.Command, last: _Expression | None) -> _Expression:
        first, *arguments = command.operands
        if isinstance(first, nodes.Function):
            return self._function(first, arguments, last)
        if isinstance(first, nodes.Nil):
            raise self._error(first.at, "nil alone is no value")
        if not arguments and last is None:
            return self._operand(first)
        if isinstance(first, nodes.Fields):
            return self._method(first, arguments, last)
        raise self._error(first.at, "this is no function: it takes no arguments")

    def _operand(  # noqa: PLR0911 - One for each kind of operand.
        self, operand: nodes.Operand
    ) -> _Expression:
        match operand:
            case nodes.Literal(_, value):
                constant = value.value if isinstance(value, Number) else value
                return lambda _frame, _dot: constant
            case nodes.Nil():
                return _nil
            case nodes.Dot():
                return _dot
            case nodes.Variable(_, _, slot):
                return lambda frame, _dot: frame[slot]
            case nodes.Function():
                return self._function(operand, [], None)
            case nodes.Fields():
                return self._fields(operand)
            case nodes.Pipeline():
                return self._pipeline(operand)

    def _fields(self, node: nodes.Fields) -> _Expression:
        value_of = self._operand(node.of)
        names = node.names

        def slowly(frame: Frame, dot: Value) -> Value:
            value = value_of(frame, dot)
            if value is None:
                return None
            for name in names:
                value = self._field(value, name, node.at, frame)
                if value is _ABSENT:
                    return None
            return value

        if len(names) > 1 or not isinstance(node.of, nodes.Dot):
            return slowly
        only = names[0]

        def quickly(frame: Frame, dot: Value) -> Value:
            try:
                return dot[only]
            except (KeyError, TypeError):
                return slowly(frame, dot)

        return quickly

    def _field(self, value: Value, name: str, at: int, frame: Frame) -> Value:
        if isinstance(value, Mapping):
            if name not in value and value is frame[DATA]:
                known = ", ".join(sorted(map(str, value)))
                raise self._error(at, f"there is no variable {name}; there are: {known}")
            return value.get(name, _ABSENT)
        if isinstance(value, Instant) and (method := METHODS.get(name)):
            try:
                method.refuse_count(1)
            except Fault as fault:
                raise self._error(at, f"{name}: {fault}") from None
            return method.call(value)
        raise self._error(at, f"{type_of(value)} has no field {name}")

    def _method(
        self, node: nodes.Fields, arguments: Sequence[nodes.Operand], last: _Expression | None
    ) -> _Expression:
        *path, name = node.names
        receiver = nodes.Fields(node.at, node.of, path) if path else node.of
        receiver_of = self._operand(receiver)
        method = METHODS.get(name)
        if method is None:
            raise self._error(node.at, f"{name} is no function: it takes no arguments")
        return self._call(method, node.at, arguments, last, receiver_of)

    def _function(
        self, node: nodes.Function, arguments: Sequence[nodes.Operand], last: _Expression | None
    ) -> _Expression:
        if node.name in _LAZY:
            return self._lazy(node, arguments, last)
        function = self._functions.get(node.name)
        if function is None:
            raise self._error(node.at, why_absent(node.name))
        return self._call(function, node.at, arguments, last, None)

    def _lazy(
        self, node: nodes.Function, arguments: Sequence[nodes.Operand], last: _Expression | None
    ) -> _Expression:
        values_of = [self._operand(argument) for argument in arguments]
        if last is not None:
            values_of.append(last)
        if not values_of:
            raise self._error(node.at, f"{node.name}: it takes at least 1 argument, not 0")
        found = _LAZY[node.name]

        def lazily(frame: Frame, dot: Value) -> Value:
            value: Value = None
            for value_of in values_of:
                value = value_of(frame, dot)
                if truth(value) is found:
                    return value
            return value

        return lazily

    def _call(
        self,
        function: Signature,
        at: int,
        arguments: Sequence[nodes.Operand],
        last: _Expression | None,
        receiver_of: _Expression | None,
    ) -> _Expression:
        """Return what calls a function: the receiver comes first, the value of the pipe last."""
        first = 0 if receiver_of is None else 1
        call, name = function.call, function.name
        try:
            function.refuse_count(first + len(arguments) + (last is not None))
            values_of = [
                self._argument(argument, function.parameter(first + index))
                for index, argument in enumerate(arguments)
            ]
        except Fault as fault:
            raise self._error(at, f"{name}: {fault}") from None
        if receiver_of is not None:
            values_of.insert(0, _checked(receiver_of, function.parameter(0)))
        if last is not None:
            values_of.append(_checked(last, function.parameter(len(values_of))))

        def failed(fault: Fault) -> DataError:
            return self._error(at, f"{name}: {fault}")

        return _calling(call, values_of, failed)

    def _argument(self, operand: nodes.Operand, parameter: Parameter) -> _Expression:
        if isinstance(operand, nodes.Literal):
            constant = parameter.literal(operand.value)
            return lambda _frame, _dot: constant
        if isinstance(operand, nodes.Nil) and parameter.check:
            constant = parameter.check(None)
            return lambda _frame, _dot: constant
        return _checked(self._operand(operand), parameter)


def _checked(value_of: _Expression, parameter: Parameter) -> _Expression:
    check = parameter.check
    if check is None:
        return value_of
    return lambda frame, dot: check(value_of(frame, dot))


def _calling(
    call: Callable[..., Value],
    values_of: Sequence[_Expression],
    failed: Callable[[Fault], DataError],
) -> _Expression:
    if len(values_of) == 1:
        (only,) = values_of

        def call_one(frame: Frame, dot: Value) -> Value:
            try:
                return call(only(frame, dot))
            except Fault as fault:
                raise failed(fault) from None

        return call_one

    def call_any(frame: Frame, dot: Value) -> Value:
        try:
            return call(*[value_of(frame, dot) for value_of in values_of])
        except Fault as fault:
            raise failed(fault) from None

    return call_any


def _nothing(_frame: Frame, _dot: Value, _write: Write) -> None:
    pass


def _ignored(_result: object) -> None:
    pass


def _break(_frame: Frame, _dot: Value, _write: Write) -> None:
    raise _Break


def _continue(_frame: Frame, _dot: Value, _write: Write) -> None:
    raise _Continue


def _nil(_frame: Frame, _dot: Value) -> Value:
    return None


def _dot(_frame: Frame, dot: Value) -> Value:
    return dot
