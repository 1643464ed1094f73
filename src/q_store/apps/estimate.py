"""`q-store estimate`: circuits, cost and time of a training or a circuit, before anything runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from q_store.apps import compilation, remote
from q_store.apps.assemble import choose, dataset, fetched, settings
from q_store.apps.outlook import Cost, cost, outlook
from q_store.apps.place import BACKENDS, IONQ, LOCAL, Place, check_place, known
from q_store.apps.progress import clock_time, plain
from q_store.apps.request import DEFAULT_DATA, Request, absolute
from q_store.apps.underway import underway
from q_store.circuits.circuit import Circuit
from q_store.errors import ConfigError
from q_store.models import zoo

QASM = ".qasm"
NOTE = (
    "The service's estimate for one circuit, times their number; circuits that share a job, a minimum charge and the "
    "queue can change it. Simulators are free."
)


@dataclass(frozen=True)
class Options:
    """The command line of `q-store estimate`; None is what was not given."""

    what: str
    backend: str = IONQ
    shots: int | None = None
    circuits: int | None = None
    rows: int | None = None
    batch_size: int | None = None
    epochs: int | None = None
    data: str | None = None
    gateset: str | None = None
    noise: str | None = None
    url: str | None = None
    key_file: Path | None = None

    @property
    def place(self) -> Place:
        """Where it would run. Raises ConfigError."""
        backend, _, target = self.backend.partition(":")
        known("--backend", backend, BACKENDS)
        if backend == LOCAL:
            raise ConfigError(
                f"expected --backend {IONQ} or {IONQ}:TARGET, got {LOCAL}, where nothing costs anything; run it: "
                "q-store train"
            )
        place = Place(IONQ, target or None, self.gateset, self.noise, self.url)
        check_place(place)
        return place.written_out()

    @property
    def request(self) -> Request:
        """The training that is asked about. Raises ConfigError."""
        data = absolute(DEFAULT_DATA if self.data is None else self.data)
        return Request(
            self.what,
            data,
            epochs=self.epochs,
            rows=self.rows,
            batch_size=self.batch_size,
            shots=self.shots,
            place=self.place,
        )


def show(options: Options, *, as_json: bool) -> None:
    """Run the command."""
    if options.circuits is not None and options.circuits < 1:
        raise ConfigError(f"expected --circuits of 1 or more, got {options.circuits}; leave it out for the default")
    request = options.request
    if not options.what.endswith(QASM):
        fetched(request.data)
    with underway(f"reading {Path(options.what if options.what.endswith(QASM) else request.data).name}"):
        circuit, circuits, shots = _file(options) if options.what.endswith(QASM) else _training(request)
    with remote.connected(options.place, options.key_file) as far, underway(f"asking {far.settings.url}"):
        found = cost(far, circuit, options.circuits or circuits, shots)
    console = Console(stderr=as_json)
    console.print(_table(found))
    plain(console, NOTE)
    if as_json:
        print(json.dumps({"what": options.what, **found.figures()}), flush=True)  # noqa: T201


def _file(options: Options) -> tuple[Circuit, int, int | None]:
    for name in ("rows", "batch_size", "epochs", "data"):
        if getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"expected {option} with the name of a model, got it with a file; leave it out")
    return compilation.read(Path(options.what)), 1, options.shots


def _training(request: Request) -> tuple[Circuit, int, int | None]:
    """Circuit, number of circuits and shots of a training, as `q-store train` would run it."""
    definition = zoo.definition(request.model)
    data = dataset(request.data)
    rows = {name: len(part) for name, part in data.parts.items()}
    rows |= {name: len(each) for name, each in choose(data, request).items() if each is not None}
    definition = definition.fitting(data.train.x)
    chosen = settings(definition, request)
    return definition.circuit, outlook(definition.circuit, definition.observables, chosen, rows).circuits, chosen.shots


def _table(found: Cost) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("target", found.place.title)
    table.add_row("circuits", f"{found.circuits:,}, of {found.qubits} qubits and {found.shots:,} shots")
    table.add_row("gates of each", f"{found.gates.one_qubit:,} on one qubit, {found.gates.two_qubit:,} on two")
    table.add_row("cost", found.price())
    for title, seconds in (("execution", found.seconds), ("queue", found.one.queue)):
        table.add_row(title, "not said" if seconds is None else clock_time(seconds))
    return table
