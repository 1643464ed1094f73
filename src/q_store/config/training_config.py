"""`TrainingConfig`: sections inside, and outside every name that v3.4 and v3.5 had."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from q_store.config import sections, sources
from q_store.config.checks import check
from q_store.config.idle import asleep, idle, unfelt
from q_store.errors import ConfigError, suggestion
from q_store.names import NAMES, features

SECTIONS: dict[str, type[sections.Section]] = {
    "backends": sections.Backends,
    "model": sections.ModelShape,
    "training": sections.Training,
    "gradient": sections.Gradient,
    "shots": sections.Shots,
    "depth": sections.Depth,
    "optimisation": sections.Optimisation,
    "submission": sections.Submission,
    "caching": sections.Caching,
    "monitoring": sections.Monitoring,
    "features": sections.Features,
    "retired": sections.Retired,
}
SECRETIVE = frozenset({"backends", "retired"})
"""Sections that hold keys, which no message may show."""
Place = tuple[str, str]
Given = dict[Place, Any]
_PINECONE = (
    "nothing is sent to Pinecone, and {} is not used: results are kept in the store on this machine; leave it out"
)


class TrainingConfig:
    """How to train, by flat names or by sections; both may be mixed, as long as nothing is said twice.

    `TrainingConfig(batch_size=10)` and `TrainingConfig(training={"batch_size": 10})` are the same. Every name can be
    read and set as an attribute; a section is frozen and is made anew. `enable_all_v34_features` and
    `enable_all_v35_features` switch on what is not given itself. `q_store.names.TABLE` has all names.

    Later sources win: defaults, then a file (`from_toml`), then the environment (`Q_STORE_<NAME>`), then what is given
    in code or with `--set name=value`. The constructor alone reads neither file nor environment, see `load`.

    Raises:
        ConfigError: for an unknown name (with a suggestion), a value that cannot be used, or two that contradict.

    Warns:
        DeprecationWarning: for a name that was given and has a new one, or that does nothing any more.
        UserWarning: for a name that has no effect as it is.
    """

    backends: sections.Backends
    model: sections.ModelShape
    training: sections.Training
    gradient: sections.Gradient
    shots: sections.Shots
    depth: sections.Depth
    optimisation: sections.Optimisation
    submission: sections.Submission
    caching: sections.Caching
    monitoring: sections.Monitoring
    features: sections.Features
    retired: sections.Retired

    def __init__(self, **given: Any) -> None:
        self._take(placed(given), given)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], **given: Any) -> Self:
        """What a file says, and what is given instead of it. Raises ConfigError."""
        return cls.load(Path(path), {}, given)

    @classmethod
    def from_environment(cls, **given: Any) -> Self:
        """What the variables `Q_STORE_<NAME>` say, and what is given instead of them. Raises ConfigError."""
        return cls.load(None, os.environ, given)

    @classmethod
    def load(cls, file: Path | None, environ: Mapping[str, str], given: Mapping[str, Any] | Sequence[str] = ()) -> Self:
        """From all sources, later ones first: what is given (or words `name=value`), environment, file, defaults.

        Raises:
            ConfigError: as the class, with the source that said it.
        """
        words = given if isinstance(given, Mapping) else sources.from_words(given)
        said = {} if file is None else sources.from_file(file)
        layers = {str(file): said, "the environment": sources.from_environment(environ), "": words}
        values: Given = {}
        named: dict[str, Any] = {}
        origin: dict[Place, str] = {}
        for source, each in layers.items():
            try:
                found = placed(each)
            except ConfigError as error:
                raise ConfigError(f"{source}: {error}" if source else str(error)) from None
            values |= found
            named |= each
            origin |= dict.fromkeys(found, f" in {source}" if source else "")
        self = cls.__new__(cls)
        self._take(values, named, origin)
        return self

    def _take(self, values: Given, named: Mapping[str, Any], origin: Mapping[Place, str] | None = None) -> None:
        """Sections of these values, once they are known to go together; messages name their `origin`."""
        made = object.__new__(type(self))
        for name, section in _sections(values, origin or {}).items():
            object.__setattr__(made, name, section)
        check(made, values)
        _warn(named)
        now = {place for name, value in named.items() for place, _ in _fields(name, value)}
        for needed, names in idle(made, now, values).items():
            warnings.warn(f"{', '.join(names)} has no effect without {needed}", UserWarning, stacklevel=3)
        for name in SECTIONS:
            object.__setattr__(self, name, getattr(made, name))
        object.__setattr__(self, "_given", values)

    @property
    def given(self) -> frozenset[Place]:
        """(section, field) of everything that was named."""
        values: Given = self._given
        return frozenset(values)

    @property
    def acting(self) -> frozenset[Place]:
        """Those of `given` that are no details of something that is off."""
        return self.given - asleep(self)

    @property
    def method(self) -> str:
        """The gradient method, whichever name chose it."""
        return "natural_gradient" if self.gradient.natural else self.gradient.method

    def was_given(self, name: str) -> bool:
        """Whether a flat name was given."""
        return NAMES[name].place in self.given

    @property
    def unfelt(self) -> list[str]:
        """Names that were given and that nothing feels where this configuration runs circuits."""
        return unfelt(self)

    def flat(self) -> dict[str, Any]:
        """Every flat name with its value; keys are hidden."""
        return {name: getattr(self, name) for name in NAMES}

    def __getattr__(self, name: str) -> Any:
        found = NAMES.get(name)
        if found is None:
            raise AttributeError(
                f"expected a name of TrainingConfig, got {name!r}{suggestion(name, [*NAMES, *SECTIONS])}"
            )
        return getattr(getattr(self, found.section), found.field)

    def __setattr__(self, name: str, value: Any) -> None:
        """Give a value to a flat name or a section, as in the constructor. Raises and warns as the class."""
        values: Given = {place: old for place, old in self._given.items() if name != place[0]}
        self._take({**values, **placed({name: value})}, {name: value})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrainingConfig) and all(getattr(self, s) == getattr(other, s) for s in SECTIONS)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        said = ", ".join(
            f"{section}.{field}={getattr(getattr(self, section), field)!r}" for section, field in self._given
        )
        return f"TrainingConfig({said})"


def placed(given: Mapping[str, Any]) -> Given:
    """(section, field) and value of flat names and sections. Raises ConfigError: for unknown names, or two values."""
    values: Given = {}
    first: dict[Place, str] = {}
    for name, value in given.items():
        for place, each in _fields(name, value):
            if place in values and values[place] != each:
                two = "two" if place[0] in SECRETIVE else f"{values[place]!r}, and {each!r} as {name}"
                raise ConfigError(f"expected one value for {first[place]}, got {two}; leave one out")
            values[place] = sections.members(each) if place == ("backends", "members") else each
            first.setdefault(place, name)
    return values


def _fields(name: str, value: Any) -> list[tuple[Place, Any]]:
    if name in NAMES:
        return [(NAMES[name].place, value)]
    if name not in SECTIONS:
        raise ConfigError(f"expected a name of TrainingConfig, got {name!r}{_hint(name)}")
    kind = SECTIONS[name]
    if isinstance(value, kind):
        return [((name, field), getattr(value, field)) for field in value.model_fields_set]
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected fields of the section {name!r} as a dict, got {type(value).__name__}")
    return [((name, field), each) for field, each in value.items()]


def _hint(name: str) -> str:
    hint = suggestion(name, [*NAMES, *SECTIONS])
    return hint if "did you mean" in hint else "; docs/migration.md has all names"


def _sections(values: Given, origin: Mapping[Place, str]) -> dict[str, sections.Section]:
    shown = {each.place: each.name + origin.get(each.place, "") for each in NAMES.values() if each.renamed is None}
    whole = {**_switched_on(values), **values}
    if ("backends", "members") in values and ("backends", "several") not in values:
        whole["backends", "several"] = True
    made: dict[str, sections.Section] = {}
    for name, kind in SECTIONS.items():
        own = {field: value for (section, field), value in whole.items() if section == name}
        labels = {field: f"{name}.{field}{where}" for (section, field), where in origin.items() if section == name}
        labels |= {field: label for (section, field), label in shown.items() if section == name}
        made[name] = kind.made("", own, labels)
    return made


def _switched_on(values: Given) -> Given:
    v34, v35 = bool(values.get(("features", "v34"))), bool(values.get(("features", "v35")))
    wanted = {NAMES[name].place: value for name, value in features(v34=v34, v35=v35).items()}
    if ("gradient", "natural") in values:  # it says the method itself
        wanted.pop(("gradient", "method"), None)
    return wanted


def _warn(named: Mapping[str, Any]) -> None:
    """Of what was named itself, and only then."""
    level = 4  # the caller of the constructor, of `load`'s users, or of an assignment
    for name in named:
        found = NAMES.get(name)
        if found is None:
            continue
        if found.renamed is not None:
            warnings.warn(
                f"{name} is now called {found.renamed}; it means the same", DeprecationWarning, stacklevel=level
            )
        if found.section == "retired":
            warnings.warn(_PINECONE.format(name), DeprecationWarning, stacklevel=level)
