"""Every benchmark of a training takes other data and other seeds, and the ablation has every name."""

import json
from pathlib import Path

import numpy as np
import pytest

from q_store.names import NAMES

RESULTS = Path("it.json")


@pytest.fixture
def inputs():
    import inputs

    return inputs


@pytest.fixture
def ablation():
    import ablation

    return ablation


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    x = rng.integers(0, 60, (150, 6, 6)) + 60 * (np.arange(36).reshape(6, 6) % 3 == y[:, None, None])
    path = tmp_path / "mine.npz"
    np.savez(path, x=x.astype(np.uint8), y=y)
    return str(path)


def test_other_data_leave_the_committed_figures_alone(inputs, images):
    options = inputs.parser("About.", RESULTS)
    assert inputs.given(options, []).out == RESULTS
    assert inputs.given(options, ["--data", images]).out == Path("it-mine.json")
    found = inputs.given(options, ["--data", images, "--seeds", "5", "6", "--out", "x.json"])
    assert (found.out, found.seeds) == (Path("x.json"), [5, 6])


def test_committed_figures_may_be_of_other_data(inputs, images):
    options = inputs.parser("About.", RESULTS, data=images)
    found = inputs.given(options, [])
    assert (found.data, found.out) == (images, RESULTS)
    assert inputs.given(options, ["--data", "bundled"]).out == Path("it-bundled.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nowhere.npz"], "expected an .npz file, got no such file"),
        (["--data", "fashion"], "expected 'bundled', 'full' or the path"),
        (["--seeds", "-1"], "expected a seed of 0 or more, got -1"),
        (["--seeds", "1", "1"], "expected seeds that differ, got 1 1"),
        (["--out", "nowhere/x.json"], "expected --out in a folder, got none at nowhere"),
    ],
)
def test_what_cannot_be_used_is_one_line(inputs, capsys, words, said):
    with pytest.raises(SystemExit) as end:
        inputs.given(inputs.parser("About.", RESULTS), words)
    assert end.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert said in last


def test_components_are_no_more_than_the_rows_span(inputs, images):
    assert inputs.directions("bundled") == 64
    assert inputs.directions(images) == 36


def test_every_name_is_in_the_ablation_or_said_to_be_left_out(ablation):
    groups = (ablation.TRAVEL, ablation.TRAINING, ablation.COSTLY)
    shown = {name for group in groups for names in group.values() for name in names}
    left_out = {name for names in ablation.LEFT_OUT.values() for name in names}
    assert shown | left_out == set(NAMES)
    assert shown & left_out == set()


def test_every_gradient_method_is_in_the_ablation(ablation):
    from q_store.names import METHODS

    groups = (ablation.TRAINING, ablation.COSTLY)
    chosen = {names.get("gradient_method") for group in groups for names in group.values()}
    assert chosen | {ablation.CONFIGURATION["gradient_method"]} >= set(METHODS)


def test_a_flag_is_learned_and_sent_with_other_data(ablation, images):
    few = {"epochs": 1, "shots_per_circuit": 20}
    here = ablation.fit({**ablation.LEARNING, **few}, 2, images, 7)
    assert (here["seed"], here["circuits"], here["shots"]) == (7, 40, 800)
    sent = ablation.on_the_wire({**few, "hardware_efficient_ansatz": False}, 1, images, 7)
    assert (sent["circuits"], sent["shots"]) == (20, 400)
    plain = ablation.on_the_wire(few, 1, images, 7)
    assert sent["gates"] > plain["gates"]
    assert sent["two_qubit_gates"] == plain["two_qubit_gates"]


def test_refusals_are_kept_with_their_reason(ablation):
    def refuse(seed):
        from q_store.errors import ConfigError

        raise ConfigError(f"expected more of {seed}")

    assert ablation._told("it", refuse, [3]) == [{"seed": 3, "refused": "expected more of 3"}]


# ------------------------------------------------------------------------------------------------ losses of adaptive.py


@pytest.fixture
def shown():
    import docs_adaptive

    return docs_adaptive


def fits(name, *curves):
    return [
        {"kind": "spsa", "problem": "fashion", "ansatz": "ring", "name": name, "seed": k,
         "curve": [[step, 20 * step, shots, loss, 9.0] for step, shots, loss in curve]}
        for k, curve in enumerate(curves)
    ]  # fmt: skip


def test_steps_circuits_and_shots_are_counted_at_two_looks_in_a_row(shown):
    base = [(10, 100, 2.0), (20, 200, 1.2), (30, 300, 1.3), (40, 400, 1.2), (50, 500, 1.0)]
    late = [(10, 50, 2.0), (20, 100, 1.9), (30, 150, 1.8), (40, 200, 1.2), (50, 250, 1.2)]
    never = [(step, shots, 1.9) for step, shots, _ in base]
    found = {"fits": [*fits("constant 1000", base, base), *fits("few", late, never), *fits("bad", never)]}
    table = shown.loss_table(found, "spsa").splitlines()
    assert table[2] == "| Fashion-MNIST, CNOT ring | constant 1000 | 40 | 800 | 0.0004 M | not reached |  |  |"
    assert table[3] == "| Fashion-MNIST, CNOT ring | few | 40 (1 of 2) | 800 | 0.0002 M | not reached |  |  |"
    assert table[4] == "| Fashion-MNIST, CNOT ring | bad | not reached |  |  | not reached |  |  |"
    assert "1.250 and 1.050" in table[-1]


def test_adaptive_has_losses_of_three_seeds_or_more_on_two_problems():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "adaptive.json"
    found = json.loads(path.read_text(encoding="utf-8"))["fits"]
    assert all(each["curve"] for each in found)
    assert {each["problem"] for each in found} == {"fashion", "digits"}
    keys = {(each["kind"], each["problem"], each["ansatz"], each["name"]) for each in found}
    for key in keys:
        seeds = [each["seed"] for each in found if tuple(each[k] for k in ("kind", "problem", "ansatz", "name")) == key]
        assert len(set(seeds)) >= 3, key


# --------------------------------------------------------------------------------------------------------- natural.py


def test_losses_of_the_gradients_are_shares_of_the_logarithm_of_the_classes(images):
    import natural

    found, other = natural.ring("bundled"), natural.ring(images)
    assert found.targets == (1.5, 1.2)
    assert other.targets == pytest.approx(np.array(found.targets) * np.log(3) / np.log(10), abs=1e-3)
    assert (other.objective.readout.n_outputs, other.objective.circuit.n_features) == (3, 36)
    start = other.loss(other.objective.initial(0))
    assert start > max(other.targets)


def test_gradients_are_measured_with_three_seeds_or_more_on_two_problems():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "natural.json"
    problems = json.loads(path.read_text(encoding="utf-8"))["problems"]
    assert len(problems) >= 2
    for entry in problems.values():
        assert {"spsa", "natural, diagonal", "natural, block", "natural, full"} <= set(entry["methods"])
        assert all(len({run["seed"] for run in method["runs"]}) >= 3 for method in entry["methods"].values())
