"""`q-store emulator`: the emulation of IonQ's API in the foreground."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rich.console import Console

from q_store.apps.progress import plain
from q_store.emulator import Emulator


@dataclass(frozen=True)
class Options:
    """The command line of `q-store emulator`."""

    port: int
    host: str
    circuit_seconds: float
    slots: int
    slot_per: str
    rtt: float
    faults: str
    depolarising: float
    angle_error: float
    seed: int
    keys: tuple[str, ...]
    time_scale: float


def serve(options: Options) -> None:
    """Run the command until it is interrupted. Raises ConfigError for an option out of range, or a port in use."""
    console = Console()
    emulator = Emulator(**{**asdict(options), "keys": options.keys or None})
    try:
        emulator.serve(lambda url: plain(console, guide(url, options.keys)))
    except KeyboardInterrupt:
        plain(console, "ended")


def guide(url: str, keys: tuple[str, ...]) -> str:
    """One line: where it listens, and how clients get there."""
    root = url.removesuffix("/v0.4")
    key = "one of the given keys" if keys else "any"
    return (
        f"emulating IonQ at {url} until Ctrl-C · q-store, qiskit-ionq: IONQ_API_URL={url} IONQ_API_KEY=... ({key}) · "
        f"cirq-ionq: IONQ_REMOTE_HOST={root} · ionq-core: IonQClient(base_url={url!r}) · ledger: {root}/emulator/ledger"
    )
