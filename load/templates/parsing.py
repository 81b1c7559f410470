"""From the text of a template to its tree.

Source: https://pkg.go.dev/text/template.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from load.errors import DataError
from load.templates import literals, nodes
from load.templates.faults import Fault, template_error
from load.templates.lexing import Kind, Token, lex

DOLLAR: Final = 0
"""The slot of `$`: the data that a body was given."""
DATA: Final = 1
"""The slot of the data that the whole template was given."""
_FIRST_FREE: Final = 2
_T = TypeVar("_T")
_PARENTHESES: Final = "a pair of parentheses"
_CONTROL: Final = frozenset({"if", "with", "range"})
_KEYWORDS: Final = _CONTROL | {"block", "break", "continue", "define", "else", "end", "template"}


def parse_tree(text: str) -> nodes.Tree:
    """Return the tree of a template.

    Raises:
        DataError: It is no template.
    """
    try:
        return _Parser(text).tree()
    except RecursionError:
        raise DataError("template: it is nested too deeply") from None


class _Scope:
    """The variables of a body: which are visible, and how many there have been."""

    def __init__(self) -> None:
        self.visible: list[tuple[str, int]] = [("$", DOLLAR)]
        self.slots = _FIRST_FREE
        self.ranges = 0

    def declare(self, name: str) -> int:
        self.visible.append((name, self.slots))
        self.slots += 1
        return self.slots - 1

    def find(self, name: str) -> int | None:
        return next((slot for known, slot in reversed(self.visible) if known == name), None)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(lex(text))
        self._next = 0
        self._scope = _Scope()
        self._definitions: dict[str, nodes.Body] = {}
        self._names: set[str] = set()
        self._at_data = True
        """Whether the dot surely is the data of the whole template."""
        self._in_main = True
        self._functions: set[str] = set()
        self._whole = False

    def tree(self) -> nodes.Tree:
        body, _ = self._list(until=())
        return nodes.Tree(
            main=nodes.Body(body, self._scope.slots),
            definitions=self._definitions,
            names=frozenset(self._names),
            functions=frozenset(self._functions),
            whole=self._whole,
            has_actions="{{" in self._text,
        )

    # Words.

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _skip_space(self) -> None:
        while self._peek().kind is Kind.SPACE:
            self._next += 1

    def _error(self, at: int, message: str) -> DataError:
        return template_error(self._text, at, message)

    def _close(self, action: str) -> None:
        self._skip_space()
        token = self._take()
        if token.kind is not Kind.CLOSE:
            raise self._error(token.at, f"{{{{{action}}}}} takes nothing more")

    # Lists of nodes.

    def _list(self, until: Sequence[str], opened: int = 0) -> tuple[list[nodes.Node], Token]:
        """Return the nodes up to one of these keywords, which has been taken; none: to the end."""
        found: list[nodes.Node] = []
        while True:
            token = self._take()
            if token.kind is Kind.TEXT:
                found.append(nodes.Text(token.text))
                continue
            if token.kind is Kind.END:
                if until:
                    raise self._error(opened, "there is no {{end}} to this")
                return found, token
            self._skip_space()
            word = self._peek()
            if word.kind is Kind.NAME and word.text in ("end", "else"):
                if word.text not in until:
                    raise self._error(token.at, f"there is nothing that this {word.text} ends")
                return found, self._take()
            node = self._action(token.at, nested=bool(until))
            if node is not None:
                found.append(node)

    def _action(self, opened: int, *, nested: bool) -> nodes.Node | None:
        word = self._peek()
        keyword = word.text if word.kind is Kind.NAME else ""
        if keyword not in _KEYWORDS:
            return nodes.Print(self._pipeline("an action", Kind.CLOSE))
        self._take()
        if keyword in _CONTROL:
            return self._control(keyword, opened)
        if keyword in ("break", "continue"):
            self._close(keyword)
            if not self._scope.ranges:
                raise self._error(word.at, f"{{{{{keyword}}}}} is only allowed in a {{{{range}}}}")
            return nodes.Break() if keyword == "break" else nodes.Continue()
        if keyword == "define":
            if nested:
                raise self._error(word.at, "{{define}} cannot stand in another action")
            self._define(opened)
            return None
        return self._invoke(word.at, opened, block=keyword == "block")

    def _control(self, keyword: str, opened: int) -> nodes.Node:
        make: dict[str, Callable[..., nodes.Node]] = {
            "if": nodes.If,
            "with": nodes.With,
            "range": nodes.Range,
        }
        visible = len(self._scope.visible)
        pipeline = self._pipeline(keyword, Kind.CLOSE)
        self._scope.ranges += keyword == "range"
        with self._dot_moved(moved=keyword != "if"):
            body, end = self._list(("end", "else"), opened)
        self._scope.ranges -= keyword == "range"
        otherwise: list[nodes.Node] = []
        if end.text == "else":
            self._skip_space()
            follows = self._peek()
            if follows.kind is Kind.NAME and follows.text == keyword and keyword != "range":
                self._take()
                otherwise = [self._control(keyword, opened)]
                del self._scope.visible[visible:]
                return make[keyword](pipeline, body, otherwise)
            self._close("else")
            otherwise, end = self._list(("end",), opened)
        self._close("end")
        del self._scope.visible[visible:]
        return make[keyword](pipeline, body, otherwise)

    @contextmanager
    def _dot_moved(self, *, moved: bool) -> Iterator[None]:
        before = self._at_data
        self._at_data = before and not moved
        yield
        self._at_data = before

    # Templates in it.

    def _define(self, opened: int) -> None:
        name = self._template_name("define")
        self._close("define")
        self._definition(name, opened)

    def _invoke(self, at: int, opened: int, *, block: bool) -> nodes.Node:
        name = self._template_name("block" if block else "template")
        self._skip_space()
        pipeline = None
        if block or self._peek().kind is not Kind.CLOSE:
            pipeline = self._pipeline("a template", Kind.CLOSE)
        else:
            self._take()
        if block:
            self._definition(name, opened)
        return nodes.Invoke(at, name, pipeline)

    def _template_name(self, action: str) -> str:
        self._skip_space()
        token = self._take()
        if token.kind is not Kind.STRING:
            raise self._error(token.at, f"{{{{{action}}}}} needs the name of a template in quotes")
        return self._literal(token, literals.string)

    def _definition(self, name: str, opened: int) -> None:
        outer, self._scope = self._scope, _Scope()
        outside, self._in_main = self._in_main, False
        with self._dot_moved(moved=True):
            body, _ = self._list(("end",), opened)
        self._close("end")
        if name in self._definitions:
            raise self._error(opened, f"the template {name!r} is defined twice")
        self._definitions[name] = nodes.Body(body, self._scope.slots)
        self._scope, self._in_main = outer, outside

    # Pipelines.

    def _pipeline(self, context: str, end: Kind) -> nodes.Pipeline:
        self._skip_space()
        at = self._peek().at
        targets, assignment = self._targets(context)
        self._skip_space()
        if self._peek().kind is end:
            raise self._error(at, f"{context} needs a value")
        commands: list[nodes.Command] = []
        while True:
            commands.append(self._command())
            token = self._take()
            if token.kind is end:
                break
            if token.kind is not Kind.PIPE:
                raise self._error(token.at, f"{token.text} cannot stand here")
        for command in commands[1:]:
            if isinstance(command.operands[0], nodes.Literal | nodes.Dot | nodes.Nil):
                raise self._error(command.at, "behind | there must be a function")
        # Only now: a value is made of the variables that were there before.
        if assignment is Kind.DECLARE:
            slots = [self._scope.declare(token.text) for token in targets]
        else:
            slots = [self._slot(token) for token in targets]
        return nodes.Pipeline(at, slots, commands)

    def _targets(self, context: str) -> tuple[Sequence[Token], Kind | None]:
        """Take the variables that the pipeline is put in, and the = or := behind them."""
        found: list[Token] = []
        mark = self._next
        while self._peek().kind is Kind.VARIABLE:
            found.append(self._take())
            self._skip_space()
            token = self._take()
            if token.kind is Kind.COMMA and context == "range" and len(found) == 1:
                self._skip_space()
                continue
            if token.kind in (Kind.ASSIGN, Kind.DECLARE):
                if context == _PARENTHESES:
                    raise self._error(found[0].at, "a variable cannot be set in parentheses")
                return found, token.kind
            if token.kind is Kind.COMMA:
                raise self._error(found[0].at, "only {{range}} sets variables, and at most two")
            break
        if len(found) > 1:
            raise self._error(found[0].at, "two variables need a := behind them")
        self._next = mark
        return (), None

    def _slot(self, token: Token) -> int:
        slot = self._scope.find(token.text)
        if slot is None:
            raise self._error(token.at, f"there is no variable {token.text}")
        return slot

    def _command(self) -> nodes.Command:
        at = self._peek().at
        operands: list[nodes.Operand] = []
        while True:
            self._skip_space()
            token = self._peek()
            if token.kind in (Kind.CLOSE, Kind.RIGHT, Kind.PIPE):
                break
            if operands and self._peek(-1).kind is not Kind.SPACE:
                raise self._error(token.at, "there must be a space before this")
            operands.append(self._operand())
        if not operands:
            raise self._error(at, "there must be a value on both sides of |")
        return nodes.Command(at, operands)

    def _operand(self) -> nodes.Operand:
        first = self._peek()
        operand = self._term()
        names: list[str] = []
        while self._peek().kind is Kind.FIELD:
            names.append(self._take().text[1:])
        if first.kind is Kind.FIELD:
            names.insert(0, first.text[1:])
        elif names and isinstance(operand, nodes.Literal | nodes.Nil | nodes.Dot):
            raise self._error(first.at, f"{first.text} has no fields")
        at_dollar = isinstance(operand, nodes.Variable) and operand.slot == DOLLAR
        at_data = (self._at_data and isinstance(operand, nodes.Dot)) or (
            self._in_main and at_dollar
        )
        if not names:
            self._whole = self._whole or at_data
            return operand
        if at_data:
            self._names.add(names[0])
        return nodes.Fields(first.at, operand, names)

    def _term(self) -> nodes.Operand:  # noqa: PLR0911 - One for each kind of word.
        token = self._take()
        match token.kind:
            case Kind.DOT | Kind.FIELD:
                return nodes.Dot(token.at)
            case Kind.VARIABLE:
                return nodes.Variable(token.at, token.text, self._slot(token))
            case Kind.NUMBER:
                return nodes.Literal(token.at, self._literal(token, literals.number))
            case Kind.CHARACTER:
                return nodes.Literal(token.at, self._literal(token, literals.character))
            case Kind.STRING:
                return nodes.Literal(token.at, self._literal(token, literals.string))
            case Kind.LEFT:
                return self._pipeline(_PARENTHESES, Kind.RIGHT)
            case Kind.NAME if token.text in ("true", "false"):
                return nodes.Literal(token.at, token.text == "true")
            case Kind.NAME if token.text == "nil":
                return nodes.Nil(token.at)
            case Kind.NAME if token.text not in _KEYWORDS:
                self._functions.add(token.text)
                return nodes.Function(token.at, token.text)
        raise self._error(token.at, f"{token.text} cannot stand here")

    def _literal(self, token: Token, read: Callable[[str], _T]) -> _T:
        try:
            return read(token.text)
        except Fault as fault:
            raise self._error(token.at, str(fault)) from None
