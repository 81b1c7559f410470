"""Templates made by chance: most of them can be rendered, the others have all kinds of mistakes."""

from collections.abc import Iterator
from random import Random
from typing import Final

_ATOMS: Final = [
    "1", "-2", "0", "3.5", "1e3", "`ab`", '"x y"', "true", "false", "nil", ".WorkerID",
    ".RequestNumber", ".Row", ".Row.tags", ".Row.name", ".Row.none", ".Row.missing",
    ".Row.deep.er.z", ".Row.deep", ".Row.amount", ".Row.text", "$.WorkerID", "$x", "'a'",
    "(list 1 2 3)", "(list)", "(dict `a` 1)", "``",
]  # fmt: skip
_FUNCTIONS: Final = {
    1: [
        "not",
        "len",
        "print",
        "html",
        "js",
        "urlquery",
        "upper",
        "lower",
        "title",
        "trim",
        "quote",
        "squote",
        "toString",
        "toJson",
        "empty",
        "first",
        "last",
        "rest",
        "initial",
        "reverse",
        "uniq",
        "compact",
        "b64enc",
        "sha256sum",
        "int",
        "float64",
        "floor",
        "ceil",
        "add1",
        "until",
        "seq",
        "atoi",
        "sortAlpha",
        "toStrings",
        "list",
        "dict",
        "cat",
        "concat",
        "coalesce",
        "any",
        "all",
        "swapcase",
        "untitle",
        "toRawJson",
        "toPrettyJson",
        "add",
    ],
    2: [
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "and",
        "or",
        "index",
        "add",
        "sub",
        "mul",
        "div",
        "mod",
        "max",
        "min",
        "trunc",
        "repeat",
        "contains",
        "hasPrefix",
        "default",
        "join",
        "append",
        "prepend",
        "has",
        "get",
        "hasKey",
        "without",
        "splitList",
        "split",
        "indent",
        "trimSuffix",
        "trimAll",
        "print",
        "println",
        "cat",
        "list",
        "concat",
        "slice",
        "addf",
        "divf",
        "mulf",
        "subf",
        "maxf",
        "seq",
        "abbrev",
        "pick",
        "omit",
        "dict",
        "regexMatch",
        "regexFind",
        "any",
    ],
    3: [
        "ternary",
        "substr",
        "replace",
        "slice",
        "printf",
        "index",
        "untilStep",
        "seq",
        "merge",
        "dig",
        "list",
        "eq",
        "splitn",
        "plural",
        "round",
        "regexReplaceAll",
    ],
}
_FORMATS: Final = ["%v", "%d", "%s", "%q", "%x", "%5.1f", "%t", "%g", "%-5v|", "%05d", "%c", "%.2e"]
_WORDS: Final = [
    "{{", "}}", " -}}", "{{- ", "if ", "else", "end", "range ", "with ", "$x", ":=", "=", "|", "(",
    ")", " ", "1", "`a`", '"b"', "print", "len", ".Row", ".tags", "/*", "*/", "'c'", "x", "-",
    ",", "nil", "true", "define ", "template ", "block ", "\n", "a",
]  # fmt: skip


def templates(seed: int, count: int) -> Iterator[str]:
    """Yield so many templates, the same ones for the same seed."""
    chance = _Chance(seed)
    for number in range(count):
        if number % 7:
            yield "{{$x := 5}}{{define `t`}}<{{.}}>{{end}}" + chance.body(3)
        else:
            yield chance.words()


class _Chance:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def words(self) -> str:
        return "".join(self._random.choices(_WORDS, k=self._random.randint(1, 12)))

    def body(self, depth: int) -> str:
        return "".join(self._node(depth) for _ in range(self._random.randint(0, 2)))

    def _node(self, depth: int) -> str:
        left = self._random.choice(["{{", "{{", "{{- "])
        right = self._random.choice(["}}", "}}", " -}}"])
        inner, other = self.body(depth - 1) if depth else "", self.body(depth - 1) if depth else ""
        end = f"{{{{else}}}}{other}{left}end{right}"
        skip = self._random.choice(
            ["", "{{if eq . 2}}{{break}}{{end}}", "{{if eq . 1}}{{continue}}{{end}}"]
        )
        variables = self._random.choice(["", "$i, $x := ", "$x := ", "$x = "])
        (form,) = self._random.choices(
            [
                self._random.choice(["a", " b ", "\n", "é"]),
                f"{left}{self._pipeline(2)}{right}",
                f"{left}$x {self._random.choice([':=', '='])} {self._pipeline(1)}{right}",
                f"{left}if {self._pipeline(1)}{right}{inner}{end}",
                f"{left}with {self._pipeline(1)}{right}{inner}{end}",
                f"{left}range {variables}{self._pipeline(1)}{right}{inner}{skip}{end}",
                self._random.choice(["{{/* c */}}", "{{break}}", "{{template `t` .Row}}"]),
            ],
            weights=[4, 8, 2, 1.5, 1.5, 2, 1] if depth else [1, 1, 0, 0, 0, 0, 0],
        )
        return form

    def _pipeline(self, depth: int) -> str:
        value = self._value(depth)
        if value.startswith("(") and self._random.random() < 0.7:
            value = value[1:-1]
        while self._random.random() < 0.3:
            more = ["default 1", "printf `%v`", "join `,`", "eq 1", "add 2", "trunc 2", "has 1"]
            value += f" | {self._random.choice(_FUNCTIONS[1] + more)}"
        return value

    def _value(self, depth: int) -> str:
        if not depth or self._random.random() < 0.35:
            return self._random.choice(_ATOMS)
        if self._random.random() < 0.1:
            return f'(printf "{self._random.choice(_FORMATS)}" {self._value(depth - 1)})'
        (count,) = self._random.choices([1, 2, 3], weights=[4, 4, 1])
        values = " ".join(self._value(depth - 1) for _ in range(count))
        return f"({self._random.choice(_FUNCTIONS[count])} {values})"
