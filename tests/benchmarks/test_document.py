"""The rows of the v3.5 document: ratios the right way up, made of the raw figures, what is missing named as missing."""

import json
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
MACHINE = {"date": "2026-11-22T10:00:00Z", "load_average": [0.6, 1, 1]}


@pytest.fixture
def rows():
    import document_rows

    return document_rows


@pytest.fixture
def others():
    import document_others

    return document_others


@pytest.fixture
def shown():
    import docs_document

    return docs_document


def named(found):
    return {row.what: row for row in found}


def write(path, found):
    path.write_text(json.dumps(found))
    return path


def part(raw, seeds=(0, 1, 2)):
    return {"raw": raw, "seeds": list(seeds), "data": "bundled", "processor_seconds": 1.0, "machine": MACHINE}


# ----------------------------------------------------------------------------------------------------------------- row


@pytest.mark.parametrize(
    ("given", "ratio", "reached"),
    [
        ((2, 3, True), 1.5, True),
        ((2, 1, True), 0.5, False),
        ((20, 10, False), 2.0, True),
        ((20, 40, False), 0.5, False),
        ((20, 20, False), 1.0, True),
        ((20, -40, True), -2.0, False),
        ((1, 0, False), None, True),
        ((None, 3, True), None, None),
        ((2, None, True), None, None),
    ],
)
def test_a_ratio_of_one_or_more_reaches_the_target(given, ratio, reached, rows):
    target, measured, least = given
    row = rows.Row("it", target, measured, least=least)
    assert (row.ratio, row.reached) == (ratio, reached)


def test_a_line_has_target_measured_and_ratio(rows):
    assert (
        rows.Row("time", 20, 40.0, "s", least=False).line == "time: target <= 20 s, measured 40 s, ratio 0.50, missed"
    )
    assert rows.Row("it", None, None, note="not yet").line == "it: target none, measured not measured (not yet)"


# --------------------------------------------------------------------------------------------------- parts of its own


def calls(seconds, count):
    return [{"seconds": seconds, "circuits": 20, "failed": 0}] * count


def test_speed_is_what_the_calls_took(rows):
    raw = {"1": calls(40.0, 30), "3": calls(10.0, 30), rows.SIMPLER: calls(5.0, 10), rows.FEWER: calls(8.0, 10),
           "shares": [300, 180, 120], "inference": 4.0}  # fmt: skip
    found = named(rows.speed(raw))
    assert found["circuits a second, 1 backend"].measured == 0.5
    assert found["batch of 20, 3 backends"].ratio == 2.0
    assert found["epoch of 10 batches, 1 backend"].measured == 400
    assert found["3 epochs, 3 backends"].measured == 300
    assert found["inference of an image, 1 backend"].ratio == 0.5
    assert found["3 epochs, 3 backends, times as fast as the 1,050 s of v3.4"].measured == 3.5
    assert found[rows.POOL].ratio == 2.0
    assert found["circuits that the least used of three equal backends got"].measured == 20
    assert found["share of a batch that is not execution, 1 backend"].measured == pytest.approx(100 * (1 - 34 / 40))
    assert (found[rows.SIMPLER].measured, found[rows.FEWER].measured) == (2, 1.25)


def test_accuracies_are_held_against_v34_and_losses_against_their_mean(rows):
    def runs(*pairs):
        return [{"seed": k, "test": test, "loss": loss, "circuits": 600} for k, (test, loss) in enumerate(pairs)]

    found = named(rows.quality({"v34": runs((0.3, 2.0), (0.5, 2.0)), "spsa": runs((0.6, 1.0), (0.6, 3.0))}))
    assert found["accuracy, v34"].measured == pytest.approx(40)
    assert found["accuracy, spsa, share of that of v34 after 600"].measured == pytest.approx(150)
    assert found["standard deviation of the final loss over seeds, v34"].measured == 0
    assert found["standard deviation of the final loss over seeds, spsa"].measured == pytest.approx(100 / 2**0.5)
    assert not any("deviation" in what for what in named(rows.quality({"v34": runs((0.3, 2.0))})))


def test_failed_circuits_are_a_share_of_all(rows):
    def runs(*lost):
        return [{"circuits": 500, "lost": each} for each in lost]

    found = named(rows.faults({"faults": "500:0.05", "random": runs(0, 0), "dies": runs(30, 10)}))
    assert found["failed circuits"].reached
    assert found["failed circuits, with failover"].measured == 4
    assert not found["failed circuits, with failover"].reached


def local(**more):
    run = {"seed": 0, "test": 0.9, "epochs": 9, "parameters": 100_000, "seconds": 30.0, "inference": 2e-4}
    return {"parameters": [30, 220], "as_written": [48, 70], "memory_gb": 0.5, "inference_s": 1e-3,
            "control": [run, {**run, "test": 0.86}], **more}  # fmt: skip


def test_sizes_stand_beside_the_control(rows):
    found = named(rows.local(local()))
    assert found["parameters"].measured == 250
    assert found["parameters of the document's classifier as written"].measured == 118
    assert found["times fewer parameters than the CNN"].measured == 400
    assert found["CNN control: accuracy"].measured == pytest.approx(88)
    assert found["memory, increase"].ratio == 4
    assert named(rows.local(local(control=[])))["CNN control"].note == "the data are no images"


def test_claims_are_what_switching_off_costs(rows):
    def run(seconds, used):
        return [{"seconds": seconds, "processor_seconds": used}]

    raw = {"without": run(100.0, 2.0), "use_concurrent_submission=False": run(160.0, 2.0),
           "use_native_gates=False": run(100.0, 2.0), "enable_smart_caching=False": run(110.0, 8.0),
           "none of v3.4": run(250.0, 9.0), "adaptive_shot_allocation": run(75.0, 2.0),
           "adaptive_circuit_depth, exponential": run(120.0, 2.0)}  # fmt: skip
    found = {what: row.measured for what, row in named(rows.claims(raw)).items()}
    assert found["concurrent submission, times as fast"] == 1.6
    assert found["smart cache, times less processor time"] == 4
    assert found["smart cache, times as fast"] == pytest.approx(1.1)
    assert found["all of v3.4, times as fast as none of it"] == 2.5
    assert found["time saved by adaptive_shot_allocation"] == 25
    assert found["time saved by adaptive_circuit_depth, exponential"] == pytest.approx(-20)


def test_the_configuration_of_the_document_is_held_against_itself_without_flags(rows):
    def run(test, circuits):
        return [{"test": test, "circuits": circuits, "steps": 10}]

    every = "enable_all_v35_features, natural_gradient"
    raw = {"without": run(0.5, 200), "natural_gradient": run(0.6, 9000), "enable_all_v35_features, spsa": run(0.4, 200),
           every: run(0.25, 9000)}  # fmt: skip
    found = named(rows.as_written(raw))
    assert found["accuracy as configured, all flags, natural gradient, share of that without"].measured == 50
    took = found["training as configured, 20 epochs of 10 batches, 3 backends"]
    assert took.measured == pytest.approx(900 * 200 * 1.7 / 3)
    assert not took.reached


# ------------------------------------------------------------------------------------------- from other result files


def timed(*reached, seconds=100.0, looks=3):
    return [{"seed": k, "circuits": 600, "test": 0.75, "validation": 0.72, "reached_70": each,
             "curve": [[200, 0.5]] * looks, "virtual_seconds": seconds} for k, each in enumerate(reached)]  # fmt: skip


def test_times_to_an_accuracy_are_bounds_where_v34_did_not_get_there(others, tmp_path):
    parts = {"v34": timed(None, 500, seconds=3000.0), "spsa": timed(500, 500, seconds=1000.0),
             "time-regress": timed(None, None, seconds=10.0, looks=1)}  # fmt: skip
    found = named(others.to_accuracy(write(tmp_path / "recipes.json", {"parts": parts})))
    assert found["end to end, spsa, 1 backend: times as fast as v34"].measured == 3
    assert found["end to end, regress, 3 backends: times as fast as v34"].ratio == 150
    assert (
        "at least, as v34 did not get there in 1 of 2"
        in found["end to end, spsa, 1 backend: times as fast as v34"].note
    )
    assert "not reached in 1 of 2, so at least" in found["time to 70 %, v34, 1 backend"].note
    assert found["time to 70 %, regress, 3 backends"].ratio == 90
    assert found["time to 70 %, calibrate, 3 backends"].measured is None
    assert "recipes.py" in found["time to 70 %, calibrate, 3 backends"].note


def test_a_recipe_that_did_not_get_there_bounds_nothing(others, tmp_path):
    worse = [{**timed(None)[0], "test": 0.6}]
    parts = {"v34": timed(500), "spsa": worse, "time-regress": [{**timed(None, looks=1)[0], "test": 0.69}]}
    found = named(others.to_accuracy(write(tmp_path / "recipes.json", {"parts": parts})))
    assert "no bound" in found["end to end, spsa, 1 backend: times as fast as v34"].note
    assert "no bound" in found["end to end, regress, 3 backends: times as fast as v34"].note
    assert found["test accuracy at the end, spsa, 1 backend: share of that of v34"].measured == pytest.approx(80)


def fit(kind, ansatz, name, accuracy, *counted, problem="fashion"):
    gates, shots = counted
    return {"kind": kind, "problem": problem, "ansatz": ansatz, "name": name, "seed": 0, "two_qubit_gates": gates,
            "circuits": 100, "shots": shots, "whole": {"accuracy": accuracy}}  # fmt: skip


def test_gates_and_shots_are_saved_against_the_fixed_and_the_constant(others, tmp_path):
    fits = [
        *(fit("depth", ansatz, *each, 0) for ansatz in ("ring", "so4") for each in (
            ("fixed 4", 0.8, 1000), ("fixed 2", 0.7, 400), ("exponential 4-2", 0.4, 700), ("linear 4-2", 0.4, 900))),
        fit("depth", "so4", "grow 2-4", 0.76, 600, 0),
        *(fit(kind, "ring", *each) for kind in ("shots", "spsa") for each in (
            ("constant 1000", 0.5, 1, 1000), ("phase 500-2000", 0.5, 1, 1400),
            ("variance .5, 100-2000", 0.45, 1, 250))),
        fit("spsa", "so4", "constant 1000", 0.1, 1, 1, problem="digits"),
    ]  # fmt: skip
    found = {
        what: row.measured for what, row in named(others.adaptive(write(tmp_path / "a.json", {"fits": fits}))).items()
    }
    assert found["less execution time, by two-qubit gates, ring, exponential 4-2"] == pytest.approx(30)
    assert found["accuracy at full depth, share of fixed depth, ring, exponential 4-2"] == pytest.approx(50)
    assert found["fewer two-qubit gates early, ring, exponential 4-2"] == 0
    assert found["fewer two-qubit gates early, so4, grow 2-4"] == pytest.approx(60)
    assert found["fewer shots, SPSA, phase 500-2000"] == pytest.approx(-40)
    assert found["fewer shots, parameter shift, variance .5, 100-2000"] == pytest.approx(75)
    assert found["accuracy, share of constant shots, SPSA, variance .5, 100-2000"] == pytest.approx(90)


def curve(*looks):
    return {"seed": 0, "curve": [[step, circuits, 0, loss] for step, circuits, loss in looks]}


def test_natural_gradients_are_counted_at_two_looks_in_a_row(others, tmp_path):
    spsa = [curve((10, 100, 1.4), (20, 200, 1.6), (40, 400, 1.4), (50, 500, 1.4))]
    block = [curve((5, 1000, 1.6), (10, 2000, 1.5), (15, 3000, 1.5))]
    never = [curve((5, 1000, 1.6), (10, 2000, 1.4))]
    methods = {"spsa": {"runs": spsa}, "natural, block": {"runs": block}, "natural, full": {"runs": never}}
    problems = {"ring": {"targets": [1.5, 1.2], "methods": methods}}
    found = named(others.natural(write(tmp_path / "natural.json", {"problems": problems})))
    assert found["natural, block, ring: times fewer iterations than SPSA"].ratio == 2
    assert found["natural, block, ring: times fewer circuits than SPSA"].measured == 0.2
    assert "not reached in every run" in found["natural, full, ring: times fewer iterations than SPSA"].note
    assert found["natural, diagonal, ring: times fewer circuits than SPSA"].note == "not measured"


def test_projections_are_products_of_what_was_measured(rows, others):
    known = [rows.Row(rows.POOL, 2, 3.0), rows.Row(rows.SIMPLER, None, 1.5), rows.Row(rows.FEWER, None, 1.0)]
    own = rows.Row(f"{others.OWN_METRIC}: times fewer circuits than SPSA", 2, 0.5)
    found = named(others.projections({"speed": known, "natural": [own]}))
    assert found["projection: natural gradient"].measured == 0.5
    assert found["projection: all four together"].measured == 2.25
    assert found["projection: without the natural gradient"].measured == 4.5
    without = named(others.projections({"speed": known}))
    assert without["projection: all four together"].measured is None
    assert without["projection: without the natural gradient"].measured == 4.5


def test_whatever_is_missing_is_named(rows, tmp_path):
    found = rows.all_rows({}, tmp_path)
    assert {name: [row.measured for row in part] for name, part in found.items() if any(r.measured for r in part)} == {}
    said = " ".join(row.note for part in found.values() for row in part)
    for name in ("--part speed", "--part quality", "--part faults", "--part local", "--part flags", "--part learning",
                 "recipes.json", "adaptive.json", "natural.json"):  # fmt: skip
        assert name in said, name


# ----------------------------------------------------------------------------------------------------------- rendering


def test_a_document_without_results_says_so(shown, tmp_path):
    assert shown.document(tmp_path) == "Not measured yet; `python benchmarks/document.py`."
    write(tmp_path / "document.json", {"local": part(local(memory_gb=3.0))})
    found = shown.document(tmp_path)
    for name in ("flags", "learning", "before"):
        assert f"Not measured yet: `python benchmarks/document.py --part {name}`." in found
    assert "| the part `speed` | – | not measured | – |" in found
    assert "| times fewer parameters than the CNN | ≥ 400 | 400 | 1.00 |" in found
    assert "| memory, increase | ≤ 2 GB | 3 GB | 0.67, **missed** |" in found
    assert "(seeds 0, 1, 2, 2026-11-22, load average 1)" in found


def test_an_ablation_is_held_against_the_last_base_above(shown):
    def run(seconds):
        return [{"seconds": seconds, "circuits": 10, "shots": 10, "two_qubit_gates": 10, "gates": 10, "steps": 5,
                 "processor_seconds": 1.0}]  # fmt: skip

    found = shown.TABLES["flags"]({"without": run(100.0), "a": run(50.0), "b": [{"refused": "why"}],
                                   "without, few images": run(10.0), "c": run(50.0)})  # fmt: skip
    assert [row[1] for row in found[1:]] == ["100", "× 0.5", "refused, with the reason", "10", "× 5"]
    assert {len(row) for row in found} == {7}


def test_what_is_learned_is_a_ratio_to_the_first_row(shown):
    def runs(*tests):
        return [{"circuits": 100, "shots": 100, "loss": 1.0, "validation": 0.5, "test": t, "steps": 9} for t in tests]

    found = shown.TABLES["learning"]({"without": runs(0.4, 0.6), "a": runs(0.2, 0.3), "b": [{"refused": "why"}]})
    assert found[1][-2:] == ["50.0 (40.0, 60.0)", "1.00"]
    assert found[2][-2:] == ["25.0 (20.0, 30.0)", "0.50"]
    assert {len(row) for row in found} == {7}


def test_the_earlier_way_stands_beside_what_was_measured_of_it(shown):
    run = {"seed": 0, "after_600": 0.25, "to_65": 7600, "to_70": None, "test": 0.69}
    found = shown.TABLES["before"]({"`v34` as it is": [run, {**run, "to_65": None}]})
    assert found[1][1:4] == ["24 to 30 %", "7,230", "13,320"]
    assert found[2][1:] == ["25.0 (25.0, 25.0)", "7,600, –", "–, –", "69.0 (69.0, 69.0)"]


# ------------------------------------------------------------------------------------------------------------ committed


@pytest.fixture
def committed():
    return json.loads((RESULTS / "document.json").read_text(encoding="utf-8"))


def test_every_part_is_measured_with_three_seeds_on_one_set_of_images(committed):
    assert set(committed) == {"speed", "before", "quality", "faults", "local", "flags", "learning"}
    assert {name for name, each in committed.items() if len(each["seeds"]) < 3} == set()
    assert {each["data"] for each in committed.values()} == {"bundled"}


def test_every_row_of_the_document_is_measured(rows, committed):
    found = rows.all_rows(committed, RESULTS)
    missing = [row.what for part in found.values() for row in part if row.measured is None]
    assert missing == []


def test_figures_are_those_of_the_raw_data(rows, committed):
    """The same by hand."""
    found = {row.what: row.measured for part in rows.all_rows(committed, RESULTS).values() for row in part}
    three = committed["speed"]["raw"]["3"]
    assert found["circuits a second, 3 backends"] == pytest.approx(
        sum(call["circuits"] for call in three) / sum(call["seconds"] for call in three)
    )
    tests = [run["test"] for run in committed["quality"]["raw"]["regress"]]
    assert found["accuracy, regress"] == pytest.approx(100 * sum(tests) / len(tests))
    parts = json.loads((RESULTS / "recipes.json").read_text(encoding="utf-8"))["parts"]
    slow, fast = ([run["virtual_seconds"] for run in parts[name]] for name in ("v34", "time-regress"))
    assert found["end to end, regress, 3 backends: times as fast as v34"] == pytest.approx(mean(slow) / mean(fast))


@pytest.mark.parametrize(
    "figure",
    ["circuits a second", "batch of 20", "epoch of 10", "3 epochs", "two-qubit gates early", "less execution time",
     "share of that of v34", "accuracy at full depth", "fewer shots", "times fewer iterations", "three backends",
     "projection: simpler", "projection: adaptive", "projection: natural", "together", "end to end", "inference",
     "parameters", "CNN control", "memory", "failed circuits", "deviation of the final loss"],
)  # fmt: skip
def test_every_figure_that_was_asked_for_has_a_row(figure):
    table = (ROOT / "docs" / "document.md").read_text(encoding="utf-8").split("<!-- figures: document -->")[1]
    assert figure in table
