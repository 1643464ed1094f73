"""How to reach IonQ's service, and how patient to be with it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, NoReturn, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from q_store.errors import AuthenticationError, ConfigError, suggestion

SIMULATOR = "simulator"
IDEAL = "ideal"
NOISE_MODELS = {
    IDEAL: 29,
    "harmony": 11,
    "harmony-1": 11,
    "harmony-2": 11,
    "aria-1": 25,
    "aria-2": 25,
    "forte-1": 29,
    "forte-enterprise-1": 29,
}
"""Noise models of the simulator, and the qubits of each."""
QPU_QUBITS = {"qpu.aria-1": 25, "qpu.aria-2": 25, "qpu.forte-1": 36, "qpu.forte-enterprise-1": 36}
MOST_QUBITS = 62
"""Of a QPU that is not listed above: a measured state fits a signed 64-bit integer; the service knows its own limit."""
_DAY = 86_400.0
_MINUTE = 60.0
_MARK = 4
"""Hexadecimal digits that stand for a key."""
URL = "https://api.ionq.co/v0.4"
KEY_VARIABLE, KEY_FILE_VARIABLE, URL_VARIABLE = "IONQ_API_KEY", "IONQ_API_KEY_FILE", "IONQ_API_URL"
_MISSING_KEY = f"expected an API key, got none; set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file that holds it"


class IonQSettings(BaseModel):
    """Options of the client, frozen. Times are seconds.

    Attributes:
        key: the API key; never shown.
        url: base of the API, version included.
        backend: `simulator` or a QPU such as `qpu.forte-1`.
        gateset: `qis`, compiled by the service, or `native`, compiled here.
        noise: noise model of the simulator.
        debiasing: error mitigation on a QPU; needs 500 shots or more.
        session: id of a session that jobs belong to; None for none.
        parallel: jobs that one `Job` is split into at most where jobs are free, as the circuits of one may share a
            slot.
        smallest: circuits below which a free job is not split further.
        in_flight: remote jobs at once.
        attempts: how often a circuit is sent at most that failed for a passing reason.
        resends: how often a slice is sent again whose sending surely failed.
        call_deadline: for one call, its repetitions included.
        timeout: for one try of a call.
        contact_tries: tries until a host that never answered counts as unreachable.
        settle: how late the service's list of jobs is trusted to be at most, counted from the last sending.
        patience: how long a slice is searched in that list, or the results of a job are tried to fetch, before rows
            become UNCERTAIN.
        min_interval, max_interval: between two looks at a job; None: at most 5 on the simulator, a minute on a QPU.
            poll_share: the interval as a share of the job's age.
        deadline: without progress beyond the predicted finish, after which a job is canceled; None: 15 minutes and 2
            seconds a circuit on the simulator, a day on a QPU.
        cancel_patience: how long a cancellation may take to be confirmed.
        rate: calls a second for this key, over all backends of the event loop. burst: calls at once.
        connections: to the service, at most; all jobs of a step fetch their results at once, three calls each.
        kept_structures: circuits whose compiled gates and template are kept; 0: made anew for every job.
        kept_circuits: bound circuits whose text is kept, for when they are sent again.
        jitter_seed: of the random part of waiting times; None: another one each time.

    Raises:
        ConfigError: for an unknown option or a value that cannot be used. AuthenticationError: without a key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    key: SecretStr
    url: str = URL
    backend: str = SIMULATOR
    gateset: Literal["qis", "native"] = "qis"
    noise: str = IDEAL
    debiasing: bool = False
    session: str | None = None
    parallel: int = Field(12, ge=1)
    smallest: int = Field(20, ge=1)
    in_flight: int = Field(32, ge=1)
    attempts: int = Field(5, ge=1)
    resends: int = Field(4, ge=0)
    call_deadline: float = Field(2 * _MINUTE, gt=0)
    timeout: float = Field(_MINUTE, gt=0)
    contact_tries: int = Field(5, ge=1)
    settle: float = Field(2 * _MINUTE, ge=0)
    patience: float = Field(5 * _MINUTE, gt=0)
    min_interval: float = Field(0.1, gt=0)
    max_interval: float | None = Field(None, gt=0)
    poll_share: float = Field(0.03, gt=0, le=1)
    deadline: float | None = Field(None, gt=0)
    cancel_patience: float = Field(_MINUTE, gt=0)
    rate: float = Field(30.0, gt=0)
    burst: int = Field(60, ge=1)
    connections: int = Field(48, ge=1)
    kept_structures: int = Field(64, ge=0)
    kept_circuits: int = Field(0, ge=0)
    jitter_seed: int | None = None

    def __init__(self, **options: Any) -> None:
        # the key is hidden before anything is refused: a traceback may show what its frames hold
        options["key"], problem = _usable_key(options.get("key"))
        if problem:
            raise AuthenticationError(problem)
        for name in options:
            if name not in type(self).model_fields:
                msg = f"expected an option of IonQSettings, got {name!r}{suggestion(name, type(self).model_fields)}"
                raise ConfigError(msg)
        try:
            super().__init__(**options)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            msg = f"expected a usable {place}, got {options.get(place)!r}: {first['msg']}"
            raise ConfigError(msg) from None
        object.__setattr__(self, "url", self.url.rstrip("/"))
        self._check()

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """With key and URL from the environment where they are not given.

        IONQ_API_KEY holds the key, or IONQ_API_KEY_FILE names a file that does; IONQ_API_URL is optional.
        """
        if options.get("key") is None:
            options["key"] = os.environ.get(KEY_VARIABLE) or _key_in_file(os.environ.get(KEY_FILE_VARIABLE))
        options["key"] = _hidden(options["key"])
        if options.get("url") is None:
            options["url"] = os.environ.get(URL_VARIABLE) or URL
        return cls(**options)

    def __reduce__(self) -> NoReturn:
        """Refused: a pickle would hold the key in the clear."""
        msg = "expected settings to stay in their process, got a pickle of them; make them there, from the environment"
        raise TypeError(msg)

    @property
    def is_simulator(self) -> bool:
        """Whether jobs run on the simulator, free of charge."""
        return self.backend == SIMULATOR

    @property
    def is_exact(self) -> bool:
        """Whether probabilities come back and shots change nothing."""
        return self.is_simulator and self.noise == IDEAL

    @property
    def max_qubits(self) -> int:
        """Largest circuit, as far as documented."""
        return NOISE_MODELS[self.noise] if self.is_simulator else QPU_QUBITS.get(self.backend, MOST_QUBITS)

    @property
    def noise_id(self) -> str:
        """Noise domain of the answers."""
        if self.is_exact:
            return IDEAL
        name = f"ionq:{self.backend}:{self.noise}" if self.is_simulator else f"ionq:{self.backend}"
        return f"{name}:debiased" if self.debiasing else name

    @property
    def account(self) -> str:
        """Which account of which service: the address, and a mark of the key, as `api.ionq.co/v0.4 key 3fa9`.

        The mark goes into stores, which are copied and shared, and a hash of a key that somebody made short can be
        guessed, with whatever salt, as that would lie beside it. So it is 16 bits of the hash: whoever tries keys finds
        one of 65,536 to fit, and learns no more than these 16 bits of perhaps 128; two keys look alike as seldom. The
        address is in the hash, so that one key at two services bears two marks.
        """
        parts = urlsplit(self.url)
        place = f"{parts.netloc.rpartition('@')[2]}{parts.path}"
        own = hashlib.sha256(f"q-store account {place} {self.key.get_secret_value()}".encode())
        return f"{place} key {own.hexdigest()[:_MARK]}"

    @property
    def longest_interval(self) -> float:
        """Seconds between two looks at a job, at most."""
        if self.max_interval is not None:
            return self.max_interval
        return 5.0 if self.is_simulator else _MINUTE

    def longest(self, circuits: int) -> float:
        """Seconds without progress after which a job of so many circuits is given up."""
        if self.deadline is not None:
            return self.deadline
        return 15 * _MINUTE + 2.0 * circuits if self.is_simulator else _DAY

    def _check(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            msg = f"expected a url that begins with https:// (or http://), got {self.url!r}; the service's is {URL}"
            raise ConfigError(msg)
        if self.is_simulator and self.noise not in NOISE_MODELS:
            msg = f"expected a noise model of the simulator, got {self.noise!r}{suggestion(self.noise, NOISE_MODELS)}"
            raise ConfigError(msg)
        if not self.is_simulator and not self.backend.startswith("qpu."):
            known = [SIMULATOR, *QPU_QUBITS]
            msg = f"expected the backend simulator or qpu.NAME, got {self.backend!r}{suggestion(self.backend, known)}"
            raise ConfigError(msg)
        if not self.is_simulator and self.noise != IDEAL:
            msg = (
                f"expected a noise model with the simulator only, got {self.noise!r} with {self.backend}; leave it out"
            )
            raise ConfigError(msg)
        if self.is_simulator and self.debiasing:
            msg = "expected debiasing on a QPU only, got it with the simulator; leave it out"
            raise ConfigError(msg)
        if self.min_interval > self.longest_interval:
            msg = f"expected min_interval <= max_interval, got {self.min_interval} and {self.longest_interval}"
            raise ConfigError(msg)


def _usable_key(given: object) -> tuple[SecretStr | None, str]:
    """The key, or what is wrong with it. Checked here: what httpx or pydantic say of a bad one could show it."""
    text = given.get_secret_value() if isinstance(given, SecretStr) else given
    if text is None or text == "":
        return None, _MISSING_KEY
    text = text.strip() if isinstance(text, str) else ""
    if not text or not all("!" <= c <= "~" for c in text):
        return None, f"expected an API key of printable ASCII without blanks, got something else; check {KEY_VARIABLE}"
    return SecretStr(text), ""


def _hidden(key: Any) -> Any:
    return SecretStr(key) if isinstance(key, str) else key


def _key_in_file(path: str | None) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        msg = f"expected a file with an API key at {path}, got: {reason}; check {KEY_FILE_VARIABLE}"
        raise AuthenticationError(msg) from None
