"""`print_performance_report` says what the ledger, the history and the service say of the same trainings."""

import asyncio
import re

import pytest
from pages import alone

from q_store import QuantumModel, QuantumTrainer, TrainingConfig
from q_store.apps.ledger_view import short
from q_store.ledger import SHARES, ledger

POOL = {
    "enable_multi_backend": True,
    "backend_configs": [{"provider": "ionq", "target": "simulator", "api_key": f"key-{k}"} for k in range(2)],
}


def number(text, pattern):
    return float(re.search(pattern, text)[1].replace(",", ""))


@pytest.mark.parametrize("names", [{}, POOL], ids=["one backend", "a pool"])
def test_counts_are_those_of_the_service_the_ledger_and_the_history(train, names, capsys):
    found = train(epochs=2, rows=4, batch_size=2, shots_per_circuit=100, **names)
    found.trainer.print_performance_report()
    text = capsys.readouterr().out
    trainer, told = found.trainer, ledger(found.trainer.watcher.told)
    asked = sum(each.n_circuit_executions for each in trainer.training_history)
    assert number(text, r"epochs: (\d+)") == len(trainer.training_history) == 2
    assert number(text, r"circuits: (\d+)") == asked > 0
    assert number(text, r"shots: (\d+)") == 100 * asked
    assert number(text, r"steps: (\d+)") == len(trainer.gradient_norms) == 4
    answered = [int(each) for each in re.findall(r"^  \S+: (\d+) circuits, 0 failed", text, re.MULTILINE)]
    assert sum(answered) == asked
    assert len(answered) == (2 if names else 1)
    assert (
        sum(each.circuits for each in told.jobs) == found.circuits >= asked
    )  # late circuits go to a second member too
    assert sum(each.jobs for each in told.jobs) == len(found.jobs)
    assert all(line in text for line in short(told))


def test_times_add_up_and_are_those_of_the_history(blobs):
    trainer = QuantumTrainer(TrainingConfig(quantum_sdk="mock", n_qubits=2, epochs=3, batch_size=4))
    asyncio.run(trainer.train(QuantumModel(input_dim=4), blobs))
    text, told = trainer.performance_report(), ledger(trainer.watcher.told)
    epochs = sum(each.epoch_time_ms for each in trainer.training_history) / 1000
    assert number(text, r"seconds: ([\d.]+)") == pytest.approx(epochs, abs=0.005)
    assert 0 < epochs <= told.run.wall + 0.005
    assert sum(told.run.seconds[name] for name in SHARES) == pytest.approx(told.run.wall, rel=1e-6)
    assert number(text, r"\ntime ([\d.,]+) s") == pytest.approx(told.run.wall, abs=0.051)
    circuits = sum(each.n_circuit_executions for each in trainer.training_history)
    assert number(text, r"circuits a second: ([\d.]+)") == pytest.approx(circuits / epochs, rel=0.01)


def test_a_notebook_shows_the_trainer(train):
    found = train(epochs=2, rows=4, batch_size=2, shots_per_circuit=100, **POOL)
    shown = alone(found.trainer._repr_html_())
    asked = sum(each.n_circuit_executions for each in found.trainer.training_history)
    assert f"circuits {asked:,}; {100 * asked:,} shots" in shown.text
    assert "0 failed" in shown.text
    assert shown.tags.count("svg") == 1
    assert "Nothing is trained yet" in alone(QuantumTrainer(TrainingConfig(quantum_sdk="mock"))._repr_html_()).text
