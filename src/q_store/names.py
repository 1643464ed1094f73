"""The flat names of `TrainingConfig` in v3.4 and v3.5: one table, where each of them lives now and what it does.

`docs/migration.md` shows the table; `config` reads it. A name that was renamed is still taken, with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

V34, V35 = "3.4", "3.5"


@dataclass(frozen=True, slots=True)
class Name:
    """A flat name.

    Attributes:
        name: as it is written. section, field: where its value is.
        does: what it does, in a sentence.
        default: what it was by default, in v3.4; None with `since` v3.5.
        since: the version that brought it.
        renamed: the name that takes its place; None for a name that stays.
    """

    name: str
    section: str
    field: str
    does: str
    default: Any = None
    since: str = V34
    renamed: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """(section, field)."""
        return self.section, self.field


def _old(name: str, place: str, default: Any, does: str, renamed: str | None = None) -> Name:
    section, field = place.split(".")
    return Name(name, section, field, does, default, V34, renamed)


def _new(name: str, place: str, does: str, renamed: str | None = None) -> Name:
    section, field = place.split(".")
    return Name(name, section, field, does, None, V35, renamed)


TABLE: tuple[Name, ...] = (
    _old("quantum_sdk", "backends.sdk", "mock", "what runs circuits: `mock` is the engine on this machine (also "
         "`local`), `ionq` the service, `qiskit` Qiskit's simulator Aer"),
    _old("quantum_api_key", "backends.api_key", None, "the key of `ionq`; without it `IONQ_API_KEY`"),
    _old("quantum_target", "backends.target", "simulator", "`simulator`, or `qpu.NAME`, of `ionq`"),
    _new("enable_multi_backend", "backends.several", "circuits are shared out among the members of `backend_configs`; "
         "without those the pool has one member"),
    _new("multi_backend_orchestration", "backends.several", "the same", "enable_multi_backend"),
    _new("backend_configs", "backends.members", "members of the pool: `provider`, and for `ionq` `target`, `api_key`, "
         "`noise`, `url`, for `local` `simulator` and `device`"),
    _old("n_qubits", "model.n_qubits", 10, "qubits, for a model that is made without"),
    _old("circuit_depth", "model.depth", 4, "layers of the ansatz, for a model that is made without"),
    _old("entanglement", "model.entanglement", "linear", "pairs of a layer: `linear`, `ring` (`circular`), "
         "`all_to_all` (`full`)"),
    _old("hardware_efficient_ansatz", "model.hardware_efficient", True, "RY and RZ on every qubit of a layer; False: "
         "RZ, RY and RZ, any rotation"),
    _old("learning_rate", "training.learning_rate", 0.01, "of the optimiser"),
    _old("batch_size", "training.batch_size", 32, "rows a step, where arrays are given; a loader brings batches"),
    _old("epochs", "training.epochs", 100, "passes over the rows"),
    _old("optimizer", "training.optimizer", "adam", "`adam` or `sgd`"),
    _old("momentum", "training.momentum", 0.9, "of SGD; the first decay of Adam"),
    _old("weight_decay", "training.weight_decay", 0.0, "decoupled decay of the readout's weights; refused where the "
         "model has none, as angles have no size"),
    _old("use_gradient_clipping", "training.clip", True, "shorten a gradient that is longer than "
         "`gradient_clip_value`"),
    _old("gradient_clip_value", "training.clip_value", 1.0, "largest Euclidean norm of a gradient"),
    _old("checkpoint_interval", "training.checkpoint_interval", 10, "epochs between checkpoints; the last is kept too"),
    _old("checkpoint_directory", "training.checkpoint_directory", "./checkpoints", "where checkpoints go"),
    _old("gradient_method", "gradient.method", "spsa_subsampled", "see below"),
    _old("spsa_c_initial", "gradient.perturbation", 0.1, "size of the step of SPSA to either side, radians"),
    _old("spsa_a_initial", "gradient.gain", 0.01, "learning rate of the circuit with SPSA, where it is given"),
    _old("gradient_subsample_size", "gradient.subsample", 5, "rows of a batch that `spsa_subsampled` measures"),
    _new("use_natural_gradient", "gradient.natural", "the same as `gradient_method='natural_gradient'`"),
    _new("natural_gradient_regularization", "gradient.regularization", "added to the diagonal of the metric"),
    _new("qfim_cache_size", "gradient.metric_cache", "metrics that are kept, by circuit, parameters and data"),
    _old("shots_per_circuit", "shots.per_circuit", 1000, "measurements of every circuit; None: exact values, where the "
         "backend has them"),
    _new("adaptive_shot_allocation", "shots.adaptive", "shots by the phase of the training and the spread of the "
         "gradients"),
    _new("min_shots", "shots.least", "shots of the first phase; never fewer"),
    _new("max_shots", "shots.most", "shots of the last phase; never more"),
    _new("base_shots", "shots.base", "shots of the middle phase"),
    _new("adaptive_circuit_depth", "depth.adaptive", "fewer layers later in the training; validation is at full "
         "depth"),
    _new("adaptive_circuit_complexity", "depth.adaptive", "the same", "adaptive_circuit_depth"),
    _new("circuit_depth_schedule", "depth.schedule", "`linear`, `exponential`, `step`, `fixed` or `grow`"),
    _new("min_circuit_depth", "depth.least", "layers at the end of the schedule"),
    _new("max_circuit_depth", "depth.most", "layers at its beginning; None: all that the model has"),
    _new("enable_circuit_optimization", "optimisation.enabled", "the three that follow, but for one that is given "
         "itself"),
    _new("gate_merging", "optimisation.merge", "gates that act as one are sent as one"),
    _new("identity_removal", "optimisation.identities", "gates that do nothing are not sent"),
    _new("entanglement_pruning", "optimisation.prune", "two-qubit gates are left out as far as the state stays close, "
         "see [adaptive](adaptive.md)"),
    _new("use_concurrent_submission", "submission.concurrent", "circuits go out together; False: one after another"),
    _old("use_batch_api", "submission.concurrent", True, "the same: there was no batch API",
         "use_concurrent_submission"),
    _old("enable_batch_execution", "submission.batches", True, "many circuits in a job; False: one"),
    _old("enable_circuit_batching", "submission.batching", True, "the same; either of them switches it off"),
    _old("max_concurrent_circuits", "submission.jobs", 5, "jobs that a backend has at a time"),
    _old("max_parallel_circuits", "submission.circuits", 50, "circuits that a backend has at a time, over its jobs"),
    _old("adaptive_batch_sizing", "submission.adaptive", False, "jobs as large as `max_parallel_circuits`, sized by "
         "the speed that was measured; False: equal shares of it"),
    _old("use_native_gates", "submission.native", True, "native gates are sent, compiled here; False: general ones"),
    _old("connection_pool_size", "submission.connections", 5, "connections to the service at most"),
    _old("batch_submission_timeout", "submission.send_timeout", 60.0, "seconds to get a call through, with its "
         "repetitions"),
    _old("batch_timeout", "submission.batch_timeout", 60.0, "seconds without progress after which a job is canceled"),
    _old("max_queue_wait_time", "submission.queue_timeout", 120.0, "seconds to wait when no backend works"),
    _old("enable_smart_caching", "caching.templates", True, "first level: a structure is compiled and written once"),
    _old("enable_circuit_cache", "caching.bound", True, "second level: the text of a bound circuit is kept, by "
         "structure and angles"),
    _old("cache_size", "caching.size", 1000, "bound circuits that are kept"),
    _old("log_interval", "monitoring.log_interval", 10, "steps between two lines in the log `q_store`"),
    _old("track_gradients", "monitoring.gradients", True, "keep the norm of every gradient: "
         "`QuantumTrainer.gradient_norms`"),
    _old("enable_performance_tracking", "monitoring.performance", True, "keep figures of every step for "
         "`print_performance_report`"),
    _old("performance_log_dir", "monitoring.performance_directory", None, "folder for these figures, as lines of JSON"),
    _new("enable_dashboard", "monitoring.dashboard", "the training in the browser, see [dashboard](dashboard.md): the "
         "link is printed, and what it shows is kept in a folder below `runs`"),
    _new("dashboard_port", "monitoring.dashboard_port", "port of the page; 0 takes any free one"),
    _old("enable_all_v34_features", "features.v34", False, "switches on what is listed below, but for what is given "
         "itself"),
    _new("enable_all_v35_features", "features.v35", "the same, with that of v3.4"),
    _old("pinecone_api_key", "retired.pinecone_api_key", None, "nothing: results are kept in the store; a warning"),
    _old("pinecone_environment", "retired.pinecone_environment", "us-east-1", "the same"),
    _old("pinecone_index_name", "retired.pinecone_index_name", "quantum-ml-training", "the same"),
)  # fmt: skip
NAMES: dict[str, Name] = {each.name: each for each in TABLE}

FEATURES: dict[str, dict[str, Any]] = {
    "enable_all_v34_features": {
        "use_concurrent_submission": True,
        "use_native_gates": True,
        "enable_smart_caching": True,
        "enable_circuit_cache": True,
        "adaptive_batch_sizing": True,
    },
    "enable_all_v35_features": {
        "enable_multi_backend": True,
        "adaptive_circuit_depth": True,
        "adaptive_shot_allocation": True,
        "gradient_method": "natural_gradient",
        "enable_circuit_optimization": True,
        "enable_performance_tracking": True,
    },
}
"""What the two names switch on; the second includes the first."""

METHODS: dict[str, str] = {
    "parameter_shift": "the exact rule of every gate: 2 P circuits a row and one more",
    "finite_diff": "central differences: as many circuits, and an error of second order",
    "spsa": "two circuits a row, all parameters moved at once, at random",
    "spsa_parallel": "the same as `spsa`: the circuits of a step always go out together",
    "spsa_subsampled": "`spsa` on `gradient_subsample_size` rows of the batch",
    "adaptive": "`spsa` while the slopes it measures stand out of the noise of the shots, else one step of "
    "`parameter_shift`",
    "natural_gradient": "`parameter_shift`, multiplied by the inverse of the block-diagonal metric, which is measured",
}
"""Values of `gradient_method`, and what each does."""


def features(*, v34: bool, v35: bool) -> dict[str, Any]:
    """What the two names switch on, by flat name."""
    older = FEATURES["enable_all_v34_features"] if v34 or v35 else {}
    return {**older, **FEATURES["enable_all_v35_features"]} if v35 else dict(older)
