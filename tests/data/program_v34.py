"""A training program in the manner of v3.4: imports, loader and calls as they were written then."""

import asyncio
import os

import numpy as np

from q_store.backends import BackendManager, create_default_backend_manager
from q_store.ml import V3_4_AVAILABLE, QuantumModel, QuantumTrainer, TrainingConfig


class Loader:
    """Batches of rows and one-hot targets."""

    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size = x, y, batch_size

    async def __aiter__(self):
        for start in range(0, len(self.x), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.x[rows], np.eye(2)[self.y[rows]]


async def main():
    """Train, go on with other data and fewer parameters, write a checkpoint and take it up again."""
    print("v3.4 available:", V3_4_AVAILABLE)
    rng = np.random.default_rng(42)
    x, y = rng.normal(size=(40, 4)), rng.integers(0, 2, 40)
    x += 1.5 * y[:, None]
    config = TrainingConfig(
        pinecone_api_key=os.getenv("PINECONE_API_KEY", "mock-key"),
        pinecone_environment="us-east-1",
        pinecone_index_name="quantum-ml-training",
        quantum_sdk="mock",
        quantum_target="simulator",
        quantum_api_key=None,
        learning_rate=0.1,
        batch_size=10,
        epochs=5,
        n_qubits=4,
        circuit_depth=2,
        entanglement="linear",
        gradient_method="spsa_parallel",
        enable_circuit_batching=True,
        max_parallel_circuits=50,
        batch_submission_timeout=60.0,
        enable_circuit_cache=True,
        enable_performance_tracking=True,
        enable_all_v34_features=True,
    )
    print("batches:", config.use_batch_api, "native:", config.use_native_gates, "cache:", config.enable_smart_caching)
    manager = create_default_backend_manager()
    assert isinstance(manager, BackendManager)
    trainer = QuantumTrainer(config, manager)
    model = QuantumModel(
        input_dim=4, n_qubits=4, output_dim=2, backend=manager.get_backend(), depth=2, hardware_efficient=True
    )
    await trainer.train(model=model, train_loader=Loader(x, y, config.batch_size), epochs=config.epochs)
    print(f"loss {trainer.training_history[0].loss:.4f} to {trainer.training_history[-1].loss:.4f}")
    print("epochs:", len(trainer.training_history), "stored:", trainer.get_pinecone_stats()["vectors_stored"])

    model.quantum_layer.freeze_parameters(list(range(8)))
    before = model.quantum_layer.parameters.copy()
    config.learning_rate = 0.01
    config.epochs = 2
    tuned = QuantumTrainer(config, manager)
    tuned.set_loss_function(lambda predictions, targets: np.mean((predictions - targets) ** 2))
    await tuned.train(model=model, train_loader=Loader(x[:20], y[:20], 10), epochs=2)
    moved = model.quantum_layer.parameters != before
    print("moved:", int(moved[:8].sum()), "of the frozen,", int(moved[8:].sum()), "of the others")

    metrics = tuned.get_training_history()[-1]
    await tuned.save_checkpoint(model, 1, metrics)
    path = f"{config.checkpoint_directory}/checkpoint_epoch_1.npz"
    kept = model.quantum_layer.parameters.copy()
    model.quantum_layer.update_parameters(np.zeros_like(kept))
    await tuned.load_checkpoint(path, model)
    print("restored:", bool((model.quantum_layer.parameters == kept).all()))
    found = await tuned.validate(model, Loader(x, y, 10))
    print("validated:", found["count"], "accuracy above chance:", found["accuracy"] > 0.6)
    batch = await tuned.train_batch(model, x[:10], np.eye(2)[y[:10]])
    print("a batch:", sorted(batch), int(batch["n_circuits"]))
    epoch = await tuned.train_epoch(model, Loader(x, y, 10), 0)
    print("an epoch:", epoch.epoch, epoch.n_circuit_executions)
    output = await model.forward(x[0], shots=1000)
    print("output:", output.shape)
    tuned.print_performance_report()


if __name__ == "__main__":
    asyncio.run(main())
