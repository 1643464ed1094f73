"""The documents are true: commands, options, settings, keys, links, code blocks and figures."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from q_store import events, training
from q_store.apps import compilation, outlook, reachable
from q_store.apps.catalogue import rows as catalogue
from q_store.apps.cli import app
from q_store.apps.compare import KEYS as COMPARED
from q_store.apps.place import HERE
from q_store.apps.result import KEYS
from q_store.apps.tally import Tally
from q_store.backends.ionq.client.service import Estimate
from q_store.circuits.circuit import Circuit, op
from q_store.emulator.faults import NAMES as FAULTS
from q_store.jobs import Output
from q_store.models import zoo
from q_store.models.fashion_mnist import DEBIAN_DIRECTORY, VARIABLE
from q_store.models.trained import default_backend
from q_store.training import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WRITTEN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
WITH_CODE = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
COMMANDS = typer.main.get_command(app).commands
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ABSENT = {name for name in ("qiskit", "qiskit_aer", "pennylane", "torch") if find_spec(name) is None}
if "pennylane" not in ABSENT:  # a library beneath it opens a socket when it is imported, which no test may
    import pennylane  # noqa: F401
LISTENING = {"dashboard.md", "offline.md"}
"""Documents whose blocks open a port of this machine."""
EXTERNAL = ("https://", "http://", "mailto:")


@pytest.fixture
def figures(monkeypatch):
    """tools/docs_figures.py as a module; it puts the folder of the benchmark on the path."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    import docs_figures

    return docs_figures


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(path, language):
    return [code for kind, code in FENCE.findall(path.read_text(encoding="utf-8")) if kind == language]


def section(document, title):
    """What stands under a heading, up to the next one of the same rank."""
    return re.split(r"^## ", document.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(table):
    return re.findall(r"^\| (`.+?`(?:, `.+?`)*) \|", table, re.MULTILINE)


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


# -------------------------------------------------------------------------------------------------- links and commands


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    prose = FENCE.sub("", path.read_text(encoding="utf-8"))
    broken = []
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", prose)):
        file, _, anchor = link.partition("#")
        target = (path.parent / file) if file else path
        if link.startswith(EXTERNAL):
            continue
        headings = re.findall(r"^#+ (.*)", target.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        if not target.exists() or (anchor and anchor not in map(slug, headings)):
            broken.append(link)
    assert broken == []


def test_every_document_is_reached_from_the_readme():
    assert {f"docs/{path.name}" for path in DOCS.glob("*.md")} <= set(LINK.findall(text("README.md")))


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("[a-z]*.md")), ids=lambda path: path.stem)
def test_decisions_have_the_form_that_is_asked_for(path):
    said = path.read_text(encoding="utf-8")
    parts = re.findall(r"^\*\*([A-Z][a-z ]+)\.\*\*", said, re.MULTILINE)
    assert parts[:3] == ["Question", "Decision", "Because"]
    assert set(parts[3:]) <= {"Instead of", "Costs"}
    assert re.match(r"# .+\n\n20\d\d-\d\d-\d\d · (accepted|replaced by)", said)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(path):
    code = "\n".join(code for kind, code in FENCE.findall(path.read_text(encoding="utf-8")) if kind == "sh")
    targets = re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)", code, re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_documents_are_understood(path):
    whole = path.read_text(encoding="utf-8")
    fenced = "\n".join(code for kind, code in FENCE.findall(whole) if kind == "sh")
    lines = re.findall(r"^q-store (\w.*)$", fenced, re.MULTILINE) + re.findall(r"`q-store (\w[^`]*)`", whole)
    for line in lines:
        name, *arguments = shlex.split(line, comments=True)
        if "COMMAND" not in line:
            given = [word.replace("NAME", "compact").replace("FILE", "x.npz") for word in arguments]
            resilient = not arguments  # `q-store evaluate` alone is how prose names a command
            COMMANDS[name].make_context(name, given, resilient_parsing=resilient)


def test_scripts_named_in_the_documents_exist():
    names = {name for path in WRITTEN for name in re.findall(r"python ((?:\w+/)+\w+\.py)", path.read_text("utf-8"))}
    assert names
    assert [name for name in names if not (ROOT / name).is_file()] == []


# -------------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_argument_of_a_command_is_documented_and_no_other(name):
    about = section(text("docs/cli.md"), f"q-store {name}")
    known = {
        option if option.startswith("-") else param.metavar
        for param in COMMANDS[name].params
        for option in param.opts
        if option not in {"--help", "-h"}
    }
    documented = {word for cell in first_cells(about) for word in re.findall(r"`(--[a-z-]+|[A-Z\\|]+`)", cell)}
    assert {word.strip("`").replace("\\", "") for word in documented} == known
    assert set(re.findall(r"`(--[a-z-]+)", about)) <= known | {"--resume"}


def test_every_command_has_a_section_and_no_other():
    assert set(re.findall(r"^## q-store (\w+)", text("docs/cli.md"), re.MULTILINE)) == set(COMMANDS)


def test_the_keys_of_train_are_documented_in_their_order():
    keys = section(text("docs/cli.md"), "q-store train").split("| JSON key |")[1].split("The run folder:")[0]
    assert tuple(name for cell in first_cells(keys) for name in re.findall(r"`(\w+)`", cell)) == KEYS


@pytest.mark.parametrize(("name", "function"), [("evaluate", "measured"), ("predict", "predict")])
def test_the_keys_of_evaluate_and_predict_are_documented_and_no_others(name, function):
    """The object that is printed is the dict in the source that begins with the run."""
    source = ast.parse((ROOT / "src" / "q_store" / "apps" / f"{name}.py").read_text(encoding="utf-8"))
    (body,) = (node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == function)
    written = [[key.value for key in node.keys] for node in ast.walk(body) if isinstance(node, ast.Dict)]
    (keys,) = (found for found in written if found[:1] == ["run"])
    table = section(text("docs/cli.md"), f"q-store {name}").split("| JSON key |")[1]
    assert [word for cell in first_cells(table) for word in re.findall(r"`(\w+)`", cell)] == keys


def test_the_keys_of_compile_and_estimate_are_documented_and_no_others():
    circuit = Circuit.build(1, [op("h", 0)])
    found = compilation.compiled(circuit, compilation.MACHINES["ionq-aria"], measured=False)
    cost = outlook.Cost(HERE, 1, 1, outlook.sent(circuit, None), 1, Estimate(None, "usd", None, None))
    for name, keys in (("compile", set(found)), ("estimate", {"what", *cost.figures()})):
        table = section(text("docs/cli.md"), f"q-store {name}").split("| JSON key |")[1]
        assert {word for cell in first_cells(table) for word in re.findall(r"`(\w+)`", cell)} == keys


def test_the_keys_of_compare_are_documented_in_their_order():
    about = section(text("docs/cli.md"), "q-store compare").split("The JSON is a list")[1]
    assert tuple(re.findall(r"`(\w+)`", about)) == COMPARED


def test_the_keys_of_a_remote_training_and_of_backends_are_documented():
    about = section(text("docs/cli.md"), "q-store train").split("| `remote` |")[1].splitlines()[0]
    assert set(Tally(default_backend()).figures()) <= set(re.findall(r"`(\w+)`", about))
    about = section(text("docs/cli.md"), "q-store backends")
    assert set(reachable._here()) <= set(re.findall(r"`(\w+)`", about))


def test_every_fault_is_documented():
    about = text("docs/offline.md")
    assert {name for name in FAULTS if name[0] != "5"} <= set(re.findall(r"`([\w-]+)`", section(about, "Faults")))


def test_the_keys_of_models_are_documented():
    about = section(text("docs/cli.md"), "q-store models")
    assert set(catalogue()[0]) <= set(re.findall(r"`(\w+)`", about))


def test_the_keys_of_a_line_of_metrics_are_documented():
    about = section(text("docs/cli.md"), "q-store train")
    assert set(events.EpochDone.__dataclass_fields__) <= set(re.findall(r"`(\w+)`", about))


# ---------------------------------------------------------------------------------------------------- names in the code


def test_every_setting_is_documented_with_its_default():
    table = section(text("docs/training.md"), "Settings")
    documented = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", table, re.MULTILINE))
    assert documented == {name: repr(field.default) for name, field in TrainingSettings.model_fields.items()}


def test_losses_readouts_and_events_are_documented():
    about = text("docs/training.md")
    for name in training.__all__:
        assert name in about or name in {"Evaluation", "Readout", "TrainingResult"}, name
    assert set(re.findall(r"^\| `(\w+)` \|", section(about, "Events"), re.MULTILINE)) == {
        kind.__name__ for kind in events.Event.__args__
    }


def test_every_output_of_a_job_is_documented():
    table = text("docs/engine.md").split("## What happens")[0]
    assert {cell.strip("`") for cell in first_cells(table)} - {"Output"} == {output.name for output in Output}


def test_places_of_the_full_set_are_documented():
    about = text("docs/data.md")
    assert VARIABLE in about
    assert str(DEBIAN_DIRECTORY) in about


def test_every_model_is_defined_in_words():
    table = section(text("docs/models.md"), "Definitions")
    assert [cell.strip("`") for cell in first_cells(table)] == list(zoo.names())


# --------------------------------------------------------------------------------------------------------------- code


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.socket] * (path.name in LISTENING)) for path in WITH_CODE],
    ids=lambda path: path.name,
)
def test_the_python_blocks_run(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "document"}
    for code in blocks(path, "python"):
        if set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) & ABSENT:
            pytest.skip(f"needs {', '.join(ABSENT)}")
        exec(compile(code, path.name, "exec"), names)  # noqa: S102  # that is what a reader does with it
    printed = capsys.readouterr().out
    for expected in PRINTED.get(path.name, ()):
        assert expected in printed


PRINTED = {
    "README.md": ["['inside' 'outside']"],
    "data.md": ["{'train': ", "['high' 'low' 'middle']"],
    "backends.md": ["local ideal (5, 2)", "aer aer:", "sampler ideal (5, 2)", "(5,) {'11': 100}", "slow"],
    "engine.md": ["(5, 18, 18) (5, 3, 18) [1000 1000 1000 1000 1000]"],
    "ionq.md": ["(40, 2) ionq:simulator:aria-1 native: sent"],
    "offline.md": ["'qpu.forte-1'", "circuits", "True True 0"],
    "interop.md": ["('weight',) ('pixels[0]', 'pixels[1]')"],
    "report.md": ["<Run small: finished, test accuracy", "True small.html"],
    "torch.md": ["params=18, executor=local, shots=None, gradient=adjoint)", "parameter_shift 6 6"],
    "training.md": ["(12,) completed", "True"],
}
"""What must be among the output of a document's blocks."""


def test_the_contract_of_a_backend_is_used_as_contributing_says():
    (code,) = re.findall(r"^  ```python\n(.*?)^  ```$", text("CONTRIBUTING.md"), re.DOTALL | re.MULTILINE)
    names = {"__name__": "document"}
    exec(textwrap.dedent(code), names)  # noqa: S102  # as above
    names["TestMine"]().test_expectations_are_those_of_the_oracle()


def test_the_readme_keeps_to_ten_lines_and_six():
    first, second = (code.strip().splitlines() for code in blocks(ROOT / "README.md", "python"))
    assert len([line for line in first if line and not line.startswith(("import", "from"))]) <= 10
    assert len([line for line in second if line and not line.startswith(("import", "from"))]) <= 6


# -------------------------------------------------------------------------------------------------------------- figures


def test_the_figures_are_those_of_the_results(figures):
    assert figures.main(["--check"]) == 0


def test_every_table_of_figures_is_used_and_known(figures):
    used = [match[2] for name in figures.DOCUMENTS for match in figures.SECTION.finditer(text(name))]
    assert set(used) == set(figures.SECTIONS)


def accuracy_entry(name="compact"):
    definition = zoo.definition(name)
    share = {"accuracy": 0.8303, "correct": 8303, "rows": 10000, "wilson95": [0.82, 0.84]}
    fit = {
        "seed": 0, "cpu_seconds": 40.0, "validation_accuracy": 0.835, "exact": share, "shots_1000": share,
        "shots_100": {**share, "accuracy": 0.7612}, "against_control": {"p": 0.25},
    }  # fmt: skip
    return {
        "parameters": definition.parameters()._asdict(),
        "two_qubit_gates": definition.two_qubit_gates._asdict(),
        "settings": definition.settings.model_dump(),
        "penalty": definition.penalty,
        "circuit_scale": definition.circuit_scale,
        "fits": [fit, {**fit, "seed": 1}],
        "control": {"kind": "mlp", "parameters": 244, "accuracy": 0.8252, "converged": True},
    }


def write_accuracy(folder, entry):
    found = {"q_store": "0.1.0", "part": "test", "models": {"compact": entry}}
    (folder / "accuracy.json").write_text(json.dumps(found))


def test_measured_accuracies_are_shown(figures, tmp_path):
    write_accuracy(tmp_path, accuracy_entry())
    table = figures.models(tmp_path)
    assert "| `compact` | 5 | 104 + 144 | 50 + 30 | **83.0** [82.3, 83.8] | 83.0 | 76.1 | 82.5 (mlp, 244) |" in table
    assert "10,000 test images, mean of 2 fresh fits (seeds 0, 1)" in table
    assert "Not measured yet: `document`, `wide`, `lean`, `lean-cz`, `ring`." in table
    row = "| `compact` | 83.03, 83.03 | 83.50, 83.50 | 40, 40 | 82.52 (mlp, 244) | 0.25, 0.25 |"
    assert row in figures.seeds(tmp_path)


@pytest.mark.parametrize("key", ["parameters", "two_qubit_gates", "settings", "penalty", "circuit_scale", "fits"])
def test_figures_of_another_definition_are_not_shown(figures, tmp_path, key):
    write_accuracy(tmp_path, {**accuracy_entry(), key: [] if key == "fits" else None})
    assert "83.0" not in figures.models(tmp_path)
    assert "not been measured yet" in figures.models(tmp_path)


def speed_case():
    def timed(engine, formulation, role, *seconds):
        return {"engine": engine, "formulation": formulation, "role": role, "seconds": seconds, "compile_s": 3.0}

    return {
        "workload": "W1", "n": 6, "batch": 1000,
        "timed": [
            timed("q-store", "run(job)", "customary, fastest", 1e-3, 1e-3, 2e-3),
            timed("tensorcircuit", "circuit", "customary", 9e-3, 11e-3, 2e-2),
            timed("tensorcircuit", "unitary", "fastest", 2e-3, 3e-3, 8e-3),
            timed("qulacs", "loop", "customary, fastest", 4e-2, 5e-2, 8e-2),
        ],
        "untimed": [{"engine": "lightning", "formulation": "adjoint", "call_s": 2.0}],
    }  # fmt: skip


def test_measured_speeds_are_shown(figures, tmp_path):
    peaks = {"sgemm_gflops": 90.0, "fma_gflops": 100.0}
    found = {
        "machine": {"cpu": "A processor", "date": "2026-11-22", "load_average": [0.1, 0, 0]},
        "threads": 1, "peaks": [peaks, peaks], "cases": [speed_case(), {**speed_case(), "n": 8}],
        "compile_s": {"uncached": {"import": 1.0, "W1": 4.0}, "cached": {"import": 1.0, "W1": 0.5}},
        "versions": {"q-store": {"q-store": "0.1.0"}, "tensorcircuit": {"tensorcircuit-ng": "1.10"}},
    }  # fmt: skip
    (tmp_path / "full-1-thread.json").write_text(json.dumps(found))
    row = "| W1 n=6 B=1000 | 1 | 10.0 (9.0 – 11.0) | 3.0 (2.0 – 4.0) | ~2,000 | 40.0 (40.0 – 50.0) |"
    assert row in figures.speed(tmp_path)
    assert "n=8" not in figures.speed(tmp_path)
    assert "W1 n=8 B=1000" in figures.every_size(tmp_path)
    assert "A processor, 1 thread, 2026-11-22, load average at the start 0.10" in figures.speed(tmp_path)
    assert "| q-store, uncached | 5.0 | import 1.00, W1 4.00 |" in figures.compile_times(tmp_path)
    assert "| W1 n=6 B=1000 | 1 | " in figures.peak(tmp_path)


def test_a_document_with_old_figures_is_found(figures, tmp_path):
    write_accuracy(tmp_path, accuracy_entry())
    readme = text("README.md")
    assert figures.rendered(readme, tmp_path / "nothing") != figures.rendered(readme, tmp_path)
    old = readme.replace("| `compact` | 5 |", "| `compact` | 4 |")
    assert old != readme
    assert figures.rendered(old, tmp_path) == figures.rendered(readme, tmp_path)


def test_the_demo_in_the_readme_is_one_of_this_version():
    demo = text("README.md").split("<!-- demo -->")[1].split("<!-- end of demo -->")[0]
    counts = zoo.definition("compact").parameters()
    assert f"{sum(counts)}: {counts.circuit} in the circuit, {counts.readout} in the readout" in demo
    for line in re.findall(r"^  (q-store .*?)   ", demo, re.MULTILINE):
        name, *arguments = shlex.split(line)[1:]
        COMMANDS[name].make_context(name, arguments)
