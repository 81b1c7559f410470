"""The arithmetic and the report of the benchmark; what it measures is for `make bench`."""

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.load.bench.figures import FIGURES
from tests.load.bench.pgbench import script
from tests.load.bench.recorded import Sent, transaction
from tests.load.bench.registry import SCENARIOS
from tests.load.bench.report import Outcome, Report
from tests.load.bench.samples import median_ratio, percentile
from tests.load.bench.table import comparison, missed, table

MERCHANT = UUID("5b0c9b7e-8f0f-4a38-9d6a-0d0a3f7f6a01")
HERE = {"machine": "this one", "date": "today"}


@given(
    st.lists(st.floats(0, 1000), min_size=1), st.sampled_from([0.1, 25.0, 50.0, 95.0, 99.9, 100.0])
)
def test_a_percentile_is_the_first_sample_that_enough_are_not_above(
    samples: list[float], percent: float
) -> None:
    """A nearest rank is a sample with at least so many at or below it, and no lower one has."""
    found = percentile(samples, percent)
    share = percent / 100 * len(samples) - 1e-9
    assert found in samples
    assert sum(sample <= found for sample in samples) >= share
    assert sum(sample < found for sample in samples) < share


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """A round that was slow as a whole counts like any other."""
    assert median_ratio([70, 7, 40], [10, 1, 10]) == 7


def test_every_figure_is_measured_by_one_scenario() -> None:
    """The scenarios measure every figure of the report, each once."""
    measured = [key for scenario in SCENARIOS for key in scenario.keys]
    assert sorted(measured) == sorted(figure.key for figure in FIGURES)


def test_a_report_has_every_figure_from_the_first_scenario_on(tmp_path: Path) -> None:
    """What isn't measured yet is null, and what is stays when the report goes on."""
    path = tmp_path / "build" / "bench.json"
    report = Report.read(path)
    report.add("parts", Outcome({"auth_us": 1.5, "gate_us": None}, {"us": [1, 1.5, 2]}), HERE)
    report.write(path)
    content: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    assert {figure.key for figure in FIGURES} | {"meta", "samples"} == content.keys()
    assert (content["auth_us"], content["gate_us"], content["cold_start_s"]) == (1.5, None, None)
    again = Report.read(path)
    again.add("cold", Outcome({"cold_start_s": 3}), HERE)
    assert (again.values["auth_us"], again.values["cold_start_s"]) == (1.5, 3)
    assert again.samples["parts"] == {"measured": HERE, "us": [1, 1.5, 2]}


def test_a_time_is_compared_on_the_same_machine_alone(tmp_path: Path) -> None:
    """Of another machine, ratios are compared and times are not, and the table says so."""
    figures = {"get_customer_vs_asyncpg": 0.55, "cold_start_s": 4.0}
    report, same, other = (Report.read(tmp_path / "none") for _ in range(3))
    report.add("run", Outcome(figures), HERE)
    before = Outcome({"get_customer_vs_asyncpg": 0.5, "cold_start_s": 2.0})
    same.add("run", before, HERE)
    other.add("run", before, HERE | {"machine": "another one"})
    here, elsewhere = comparison(report, same), comparison(report, other)
    assert "| ≥ 0.5 | 0.55 | 0.5 | +10% |" in here
    assert "| < 5 s | 4 s | 2 s | +100% |" in here
    assert "| ≥ 0.5 | 0.55 | 0.5 | +10% |" in elsewhere
    assert "| < 5 s | 4 s | – | – |" in elsewhere
    assert "not compared: the baseline is one of another machine (another one)" in elsewhere
    assert "There is no baseline" in comparison(report, Report.read(tmp_path / "none"))


def test_a_missed_target_is_seen(tmp_path: Path) -> None:
    """A figure that misses its target is listed and bold; one that isn't measured is neither."""
    report = Report.read(tmp_path / "none")
    report.add("run", Outcome({"users_100_errors": 1, "sums_1m_vs_10k": 1.3}), HERE)
    assert [figure.key for figure in missed(report)] == ["users_100_errors"]
    assert "| **1** |" in table(report)


LOG = f"""\
2026-11-24 14:00:00.000 UTC [7] patron_serving LOG:  statement: SELECT 1
2026-11-24 14:00:00.001 UTC [8] patron_serving LOG:  statement: BEGIN;SET LOCAL patron.merchant = \
'{MERCHANT}'
2026-11-24 14:00:00.002 UTC [7] patron_serving LOG:  statement: BEGIN
2026-11-24 14:00:00.003 UTC [8] patron_serving LOG:  execute __asyncpg_stmt_1__: SELECT $1::UUID,
\t$2::TEXT, $3::TEXT
2026-11-24 14:00:00.003 UTC [8] patron_serving DETAIL:  Parameters: $1 = '{MERCHANT}', $2 = NULL, \
$3 = 'it''s 10:30'
2026-11-24 14:00:00.004 UTC [8] patron_serving LOG:  statement: COMMIT
"""


def test_what_was_sent_is_read_from_the_log_of_postgresql() -> None:
    """A merchant's transaction is found among others, its texts whole and its nulls as such."""
    assert transaction(LOG, MERCHANT) == [
        Sent(f"BEGIN;SET LOCAL patron.merchant = '{MERCHANT}'"),
        Sent("SELECT $1::UUID,\n$2::TEXT, $3::TEXT", (str(MERCHANT), None, "it's 10:30")),
        Sent("COMMIT"),
    ]
    assert transaction(LOG, UUID(int=0)) == []


def test_a_script_has_fresh_values_where_the_recorded_ones_were() -> None:
    """In the script, a recorded id is its expression, and a text is never a variable."""
    written = script(
        transaction(LOG, MERCHANT), {str(MERCHANT): "md5(:merchant)::uuid"}, {"merchant": (1, 9)}
    )
    assert written == (
        "\\set merchant random(1, 9)\n"
        "\\startpipeline\n"
        "BEGIN;\n"
        "SELECT set_config('patron.merchant', ((md5(:merchant)::uuid))::text, true);\n"
        "\\endpipeline\n"
        "SELECT (md5(:merchant)::uuid)::UUID,\nNULL::TEXT, E'it\\'s 10\\x3a30'::TEXT\n\\gset\n"
        "COMMIT;\n"
    )
