"""Where circuits run: on this machine, or on a target of an IonQ-compatible service; checked, and put into words."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from q_store.backends.ionq.settings import IDEAL, NOISE_MODELS, QPU_QUBITS, SIMULATOR, URL, URL_VARIABLE
from q_store.errors import ConfigError, suggestion

LOCAL, IONQ = "local", "ionq"
BACKENDS = (LOCAL, IONQ)
GATESETS = ("qis", "native")


@dataclass(frozen=True)
class Place:
    """A backend and, for `ionq`, the target, gate set and noise model asked for, and the service's URL.

    None stands for the default, and for what does not apply.
    """

    backend: str = LOCAL
    target: str | None = None
    gateset: str | None = None
    noise: str | None = None
    url: str | None = None

    @property
    def remote(self) -> bool:
        """Whether circuits leave this machine."""
        return self.backend != LOCAL

    @property
    def exact(self) -> bool:
        """Whether answers are probabilities, without statistical error."""
        return not self.remote or (self.free and self.noise in {None, IDEAL})

    @property
    def free(self) -> bool:
        """Whether the target costs nothing: simulators do not."""
        return (self.target or SIMULATOR) == SIMULATOR

    @property
    def genuine(self) -> bool:
        """Whether the URL is that of IonQ's own service."""
        host = urlsplit(self.url or URL).hostname or ""
        return host == "ionq.co" or host.endswith(".ionq.co")

    def config(self) -> dict[str, str | None]:
        """As JSON."""
        return dict(vars(self))

    def written_out(self) -> Place:
        """With the defaults in place of None."""
        return Place(
            self.backend,
            self.target or SIMULATOR,
            self.gateset or GATESETS[0],
            self.noise or (IDEAL if self.free else None),
            (self.url or os.environ.get(URL_VARIABLE) or URL).rstrip("/"),
        )

    @property
    def title(self) -> str:
        """`simulator at api.ionq.co, native gates, noise of aria-1`."""
        if not self.remote:
            return "an exact simulation on this machine"
        parts = [f"{self.target or SIMULATOR} at {urlsplit(self.url or URL).netloc}"]
        if self.gateset == "native":
            parts.append("native gates")
        if self.noise not in {None, IDEAL}:
            parts.append(f"noise of {self.noise}")
        return ", ".join(parts)

    @property
    def honest(self) -> str:
        """What may be said of the training, in a sentence."""
        if not self.remote:
            return "Trained locally, on an exact simulation of the circuit, not on quantum hardware."
        if self.genuine and not self.free:
            return f"Trained on quantum hardware: {self.title}."
        what = "a simulator" if self.free else "something that answers like a quantum computer but is not IonQ's"
        return f"Trained remotely on {self.title}: {what}, not quantum hardware."


HERE = Place()


def check_place(place: Place) -> None:
    """Raise ConfigError for a name that is unknown or does not go with the others."""
    known("--backend", place.backend, BACKENDS)
    if not place.remote:
        for each in fields(Place)[1:]:
            only_remote(each.name, getattr(place, each.name))
        return
    target = place.target or SIMULATOR
    if target != SIMULATOR and not target.startswith("qpu."):
        known("--target", target, (SIMULATOR, *QPU_QUBITS))
    known("--gateset", place.gateset or "qis", GATESETS)
    known("--noise", place.noise or IDEAL, tuple(NOISE_MODELS))
    if place.noise is not None and target != SIMULATOR:
        raise ConfigError(
            f"expected --noise only with the target {SIMULATOR}, got --noise {place.noise} with {target}; a quantum "
            "computer has its own, leave it out"
        )
    if place.url is not None:
        check_url(place.url)


def only_remote(name: str, value: object) -> None:
    """Raise ConfigError when an option that only a remote backend understands was given without one."""
    if value:
        option = f"--{name.replace('_', '-')}"
        raise ConfigError(
            f"expected {option} only with --backend {IONQ}, got it with the backend {LOCAL}; add --backend {IONQ}, or "
            f"leave out {option}"
        )


def check_url(url: str) -> None:
    """Raise ConfigError unless the URL is an HTTP address without a name or password in it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"expected --url such as http://127.0.0.1:8000/v0.4, got {url!r}; give the whole address")
    if parts.username or parts.password:
        raise ConfigError("expected --url without a name or password, got one in it; the key belongs into IONQ_API_KEY")


def known(option: str, value: str, names: tuple[str, ...]) -> None:
    """Raise ConfigError, with a suggestion, unless `value` is one of `names`."""
    if value not in names:
        raise ConfigError(f"expected {option} to be one of {', '.join(names)}, got {value!r}{_hint(value, names)}")


def _hint(value: str, names: tuple[str, ...]) -> str:
    hint = suggestion(value, names)
    return hint if "did you mean" in hint else ""
