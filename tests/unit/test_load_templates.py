"""Go's templates, as ghz uses them."""

import pickle
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.errors import DataError
from load.templates import parse
from load.templates.functions import FUNCTIONS
from load.templates.printing import quoted
from tests.load.templates.cases import VARIABLES
from tests.load.templates.chance import templates
from tests.load.templates.stored import GROUPS, stored


def render(template: str, *, functions: bool = True, **variables: Any) -> str:
    """Return what is made of a template with the variables of the cases, and these."""
    return parse(template, functions=functions).render({**VARIABLES, **variables})


def outcome(template: str, *, functions: bool = True) -> tuple[str | None, str]:
    """Return what is made of it, or the text of the error."""
    try:
        return render(template, functions=functions), ""
    except DataError as error:
        return None, str(error)


@pytest.mark.parametrize("group", ["syntax", "built-ins", "functions", "without functions"])
def test_as_go(group: str) -> None:
    """What Go renders, is rendered alike; what it refuses, is refused."""
    functions = group != "without functions"
    results = stored()[group]

    assert [result["template"] for result in results] == [case.template for case in GROUPS[group]]
    for result in results:
        template = result["template"]
        assert (template, outcome(template, functions=functions)[0]) == (
            template,
            result.get("text"),
        )


def test_refused() -> None:
    """Where Go would put out a mistake, a 0 or nothing, there is an error."""
    for result in stored()["refused"]:
        assert "text" in result
        assert (result["template"], outcome(result["template"])[0]) == (result["template"], None)


def test_lenient() -> None:
    """An integer is an integer, and nil an empty map, where Go sees different types."""
    assert [outcome(result["template"])[0] for result in stored()["lenient"]] == [
        "[0 1]", "ab", "[1]", "", "[]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "template, place, message",
    [
        ("a\nb {{foo 1}}", "line 2, column 5, at foo 1", "there is no function 'foo'"),
        (
            "{{ typeOf 1 }}",
            "line 1, column 4, at typeOf 1",
            "the function 'typeOf' of sprig is not supported here",
        ),
        (
            "{{ .Recuest }}",
            "line 1, column 4, at .Recuest",
            "there is no variable Recuest; there are: Name, RequestNumber",
        ),
        (
            "{{ upper .RequestNumber | quote }}",
            "line 1, column 4, at upper .RequestNumber | quote",
            "upper: it takes a string here, not 7",
        ),
        (
            "{{ randomInt 5 5 }}",
            "line 1, column 4, at randomInt 5 5",
            "randomInt: there is no integer from 5 that is less than 5",
        ),
        (
            "{{ if .Name }}{{ .Name }}",
            "line 1, column 1, at {{ if .Name",
            "there is no {{end}} to this",
        ),
        (
            "{{ repeat 3 (fail `This is more than what is shown`) }}",
            "line 1, column 14, at fail `This is more than what is shown`)",
            "fail: This is more than what is shown",
        ),
    ],
)
def test_errors(template: str, place: str, message: str) -> None:
    """An error tells the place, what stands there, and what is wrong."""
    with pytest.raises(DataError) as raised:
        parse(template, functions=True).render({"Name": "Ann", "RequestNumber": 7})
    assert str(raised.value) == f"template, {place}: {message}"


@pytest.mark.parametrize("name", ["newUUID", "randomInt", "upper", "now"])
def test_functions_switched_off(name: str) -> None:
    """Without functions, those of ghz and sprig are refused by name; Go's own are there."""
    with pytest.raises(DataError, match=f"'{name}' is not there: .* switched off"):
        parse(f"{{{{{name}}}}}", functions=False)
    assert render("{{len (print `a` 1)}}", functions=False) == "2"


def test_facts() -> None:
    """A template tells which variables it uses, and whether anything is to be done."""
    template = parse(
        "{{.A}} {{if .B.c}}{{$.D}}{{end}}{{range .E}}{{.f}}{{$.G}}{{else}}{{.H}}{{end}}"
        "{{with .I}}{{.j}}{{end}}{{define `t`}}{{.k}}{{$.l}}{{end}}",
        functions=True,
    )
    assert template.names == set("ABDEGHI")
    assert [
        parse(text, functions=True).has_actions
        for text in ("plain } text", "{{.A}}", "{{if true}}a{{end}}", "{{/* nothing */}}")
    ] == [False, True, True, True]


def test_pickled() -> None:
    """A template that is sent to another process renders the same, by the same functions."""
    template = parse("{{.WorkerID | upper}}", functions=True)
    assert pickle.loads(pickle.dumps(template)).render(VARIABLES) == "G0C1"  # noqa: S301
    plain = pickle.loads(pickle.dumps(parse("{{.A}}", functions=False)))  # noqa: S301
    assert plain.render({"A": 1}) == "1"


def test_variables_stay() -> None:
    """What a template changes in its variables, the next call does not see."""
    variables = {"Row": {"a": {"b": 1}}}
    template = parse(
        "{{set .Row.a `b` (add1 .Row.a.b)}}{{merge .Row (dict `c` 1)}}", functions=True
    )

    assert template.render(variables) == "map[b:2]map[a:map[b:2] c:1]" == template.render(variables)
    assert variables == {"Row": {"a": {"b": 1}}}


def test_endless() -> None:
    """A template that calls itself, or is nested, without end is an error and not a crash."""
    with pytest.raises(DataError, match="calls itself without end"):
        render("{{define `t`}}{{template `t`}}{{end}}{{template `t`}}")
    with pytest.raises(DataError, match="nested too deeply"):
        render("{{" + "(" * 9000 + "1" + ")" * 9000 + "}}")
    with pytest.raises(DataError, match="repeated 99999999999 times"):
        render("{{repeat 99999999999 `ab`}}")


def test_strange_values() -> None:
    """A variable that is nothing Go has is refused when it is put out."""
    with pytest.raises(DataError, match="type complex cannot be put out"):
        render("{{.Value}}", Value=1j)


def test_uuids() -> None:
    """UUIDs are of version 4, and no two are the same."""
    found = render("{{range 500}}{{newUUID}} {{uuidv4}} {{end}}").split()
    assert len(set(found)) == 1000
    assert all(
        (parsed := uuid.UUID(text)).version == 4
        and parsed.variant == uuid.RFC_4122
        and str(parsed) == text
        for text in found
    )


def test_random_strings() -> None:
    """Text of letters and digits has the length that is asked for, or one of 2 to 16."""
    assert re.fullmatch("[a-zA-Z0-9]{40}", render("{{randomString 40}}"))
    lengths = {len(text) for text in render("{{range 999}}{{randomString 0}} {{end}}").split()}
    assert lengths == set(range(2, 17))
    assert re.fullmatch("[a-zA-Z]{9}", render("{{randAlpha 9}}"))
    assert re.fullmatch("[0-9]{9}", render("{{randNumeric 9}}"))
    assert re.fullmatch("[ -~]{9}", render("{{randAscii 9}}"))
    assert re.fullmatch("[a-zA-Z0-9]{9}", render("{{randAlphaNum 9}}"))
    assert render("{{randBytes 9 | b64dec | len}} {{len (shuffle `abc`)}}") != ""
    assert len(render("{{randBytes 9}}")) == 12
    assert sorted(render("{{shuffle `abc`}}")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "arguments, expected",
    [("3 6", {3, 4, 5}), ("-5 3", {0, 1, 2}), ("0 -7", {0}), ("-1 1", {0}), ("9 10", {9})],
)
def test_random_integers(arguments: str, expected: set[int]) -> None:
    """A random integer is below the end; a negative least one counts as 0, an end below 1 as 1."""
    found = render(f"{{{{range 200}}}}{{{{randomInt {arguments}}}}} {{{{end}}}}").split()
    assert set(map(int, found)) == expected


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token may come from the environment."""
    monkeypatch.setenv("TOKEN_OF_A_TEST", "secret")
    assert render("Bearer {{env `TOKEN_OF_A_TEST`}}") == "Bearer secret"


def test_local_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates are in the zone of the machine, if no other one is asked for."""
    time_of_day = render("{{date `15:04` .At}}", At=1_700_000_000)
    assert re.fullmatch(r"\d\d:13", time_of_day) or re.fullmatch(r"\d\d:(43|58)", time_of_day)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \S+", render("{{print now}}")
    )
    assert render("{{htmlDate .At | len}}", At=1_700_000_000) == "10"
    assert render("{{$t := now}}{{max $t.Hour $t.Minute $t.Second $t.Day | lt 60}}") == "false"
    assert render("{{$t := now}}{{sub $t.UnixMilli (div $t.UnixMicro 1000)}}") == "0"
    assert render("{{$t := now}}{{eq $t.Nanosecond (mod $t.UnixNano 1000000000)}}") == "true"


def test_all_functions_are_tried() -> None:
    """Every function stands in one of the templates that Go has rendered, or is random."""
    tried = " ".join(case.template for cases in GROUPS.values() for case in cases)
    tried += "newUUID uuidv4 randomString randomInt randInt randAlpha randNumeric randAscii"
    tried += " randAlphaNum randBytes shuffle date htmlDate"
    words = set(re.findall(r"\w+", tried))
    # Those with must in their names are the same functions.
    missing = {
        name
        for name, function in FUNCTIONS.items()
        if not words & {other for other, same in FUNCTIONS.items() if same.call is function.call}
    }
    assert missing == set()


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_stays(text: str) -> None:
    """Text without actions is what it was."""
    template = parse(text, functions=True)
    assert template.render({}) == text
    assert not template.has_actions


@given(st.text())
def test_literals(text: str) -> None:
    """A string that is quoted as Go does is read as it was, and quoted again the same."""
    assert render(f"a{{{{{quoted(text)}}}}}b") == f"a{text}b"
    assert render("{{quote .Text}}", Text=text) == quoted(text)
    assert render("{{fromJson (toJson .Text)}}", Text=text) == text
    assert render("{{b64dec (b64enc .Text)}}", Text=text) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1))
def test_numbers(number: float, integer: int) -> None:
    """A number is put out so that it is read as the same one."""
    assert float(render("{{.Number}}", Number=number)) == number
    assert float(render("{{toJson .Number}}", Number=number)) == number
    assert render(f"{{{{{integer}}}}} {{{{.Integer}}}}", Integer=integer) == f"{integer} {integer}"


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_wrap(one: int, other: int) -> None:
    """Integers are those of 64 bits, and division is the inverse of multiplication."""
    added, subtracted, multiplied = render(
        "{{add .A .B}} {{sub .A .B}} {{mul .A .B}}", A=one, B=other
    ).split()
    for found, exact in (
        (added, one + other),
        (subtracted, one - other),
        (multiplied, one * other),
    ):
        assert -(2**63) <= int(found) < 2**63
        assert (int(found) - exact) % 2**64 == 0
    if other:
        again = render("{{add (mul (div .A .B) .B) (mod .A .B)}}", A=one, B=other)
        assert int(again) == one


def test_nothing_but_errors() -> None:
    """Whatever a template looks like, it is rendered, or there is an error that tells its place."""
    assert all(
        text is not None or error.startswith("template, line ")
        for text, error in map(outcome, templates(seed=4, count=1000))
    )
