"""`q-store train --recipe`: which recipe, what it is going to take, the run of it, and its figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from q_store.apps.assemble import Assembly
from q_store.apps.caps import line as caps_line
from q_store.apps.clock import Clock
from q_store.apps.measure import measure
from q_store.apps.progress import MetricsWriter, busy, plain
from q_store.apps.recipe_display import shown
from q_store.apps.request import Request
from q_store.apps.result import DETAILS
from q_store.apps.run_folder import CHECKPOINTS, RunFolder
from q_store.apps.tally import Tally
from q_store.errors import BudgetError
from q_store.events import Announcer, RecipeChosen, Sink
from q_store.models.metrics import wilson_interval
from q_store.models.model import Model
from q_store.models.trained import Trained
from q_store.store import Caps
from q_store.training.checkpoint import CheckpointFile
from q_store.training.recipes import (
    AUTO,
    Choice,
    RecipeResult,
    Refine,
    Regress,
    Sites,
    Task,
    choose,
    chosen,
    drive_sites,
    named,
)
from q_store.training.recipes.auto import can_simulate
from q_store.training.rows import Rows

if TYPE_CHECKING:  # it loads SciPy
    from q_store.apps.far import Far
    from q_store.apps.watching import Watching

LOCAL_CHECKPOINT = "local.npz"
"""Of exact training on this machine; what was bought is replayed from the store."""
SHOTS = 1_000
"""A circuit, where neither the command nor the model says."""
CURRENCY = "USD"
MEASURED_MODEL, MEASURED_DATA = "ring", ("bundled", "full")
"""Of the benchmark of recipes, whose figures say nothing about others."""


@dataclass(frozen=True)
class Run:
    """A recipe about to run: what was asked for, its task, the choice, who runs the jobs, and who hears the pool.

    `unlike`: what was not so in the benchmark of recipes, in words; its figures are no expectation then.
    """

    asked: str
    task: Task
    choice: Choice
    sites: Sites
    tally: Tally | None = None
    listeners: list[Sink] = field(default_factory=list)
    unlike: str = ""

    @property
    def remote(self) -> bool:
        """Whether circuits leave this machine."""
        return self.tally is not None

    @property
    def total(self) -> int:
        """Most circuits that it buys."""
        return sum(self.choice.circuits)

    @property
    def least(self) -> int:
        """Circuits with which it does something, looks and test included."""
        recipe, task = self.choice.recipe, self.task
        least = recipe.least(task)
        return least + recipe.validation(replace(task, circuits=max(least, 1))) + task.end


def prepared(folder: RunFolder, request: Request, parts: Assembly, far: Far | None) -> Run:
    """The recipe that is asked for, its task and sites. Raises ConfigError for options that do not go with it."""
    task = _task(folder, request, parts, remote=far is not None)
    sites = Sites(pool=far.tally if far else parts.meter, local=parts.meter)
    tally, listeners = (far.tally, far.listeners) if far else (None, [])
    pool = tally.capabilities if tally else None
    if request.recipe == AUTO:
        choice = choose(task, parts.meter.capabilities, pool)
    else:
        recipe = named(str(request.recipe))
        if isinstance(recipe, Refine) and not can_simulate(task, parts.meter.capabilities):
            recipe = replace(recipe, base=Regress())
        choice = chosen(recipe, task, "asked for")
    unlike = _unlike(parts, task, "ideal" if pool is None else pool.noise_id)
    return Run(str(request.recipe), task, choice, sites, tally, listeners, unlike)


def _unlike(parts: Assembly, task: Task, noise: str) -> str:
    found = []
    if parts.model.name != MEASURED_MODEL or parts.data.source not in MEASURED_DATA:
        found.append("these data and this model")
    if noise != "ideal":
        found.append(f"the noise of {noise}")
    if task.shots is not None and task.shots < SHOTS:
        found.append(f"{task.shots:,} shots")
    return ", ".join(found)


def announced(run: Run, caps: Caps | None, each: float | None, console: Console, tell: Sink) -> None:
    """Say what is going to happen, before it does. Raises BudgetError where the budget is too small for it.

    Args:
        run: it.
        caps: of the run; None: none.
        each: money a circuit, as far as it is known.
        console: where it is said.
        tell: hears it too.
    """
    choice = run.choice
    training, validation, test = choice.circuits
    tell(_chosen(run, None if each is None or not run.remote else each * run.total))
    where = "circuits" if run.remote else "circuits, simulated on this machine"
    plain(console, f"recipe {choice.sentence}")
    plain(
        console,
        f"at most {run.total:,} {where}: {training:,} for training, {validation:,} for validation, {test:,} for the "
        f"test" + ("" if each is None or not run.remote else f"; about {each * run.total:,.2f} {CURRENCY}"),
    )
    plain(console, f"expected accuracy: {_expected(run)}")
    if caps is not None and run.remote:
        _require(run, caps, each)


def _expected(run: Run) -> str:
    """What is known of it, in words."""
    recipe, found = run.choice.recipe.name, run.choice.expected
    if found is None:
        few = " with so few circuits" if run.choice.circuits[0] else ""
        return f"not measured for {recipe}{few}, see docs/recipes.md"
    figure = f"{100 * found.accuracy:.1f} % with {found.circuits:,} circuits"
    if not run.unlike:
        return f"{figure}, {found.origin}"
    return f"not known for {run.unlike}; {MEASURED_MODEL} reached {figure}, {found.origin}"


def _chosen(run: Run, price: float | None) -> RecipeChosen:
    choice, found = run.choice, None if run.unlike else run.choice.expected
    accuracy, circuits = (None, None) if found is None else (found.accuracy, found.circuits)
    currency = "" if price is None else CURRENCY
    return RecipeChosen(choice.recipe.name, run.asked, choice.reason, accuracy, circuits, price, currency)


def _require(run: Run, caps: Caps, each: float | None) -> None:
    """Raise BudgetError where a cap is below what the recipe takes."""
    recipe = run.choice.recipe
    least = recipe.least(run.task)
    needs: dict[str, tuple[float, float]] = {
        "circuits": (run.total, run.least),
        "shots": (_shots(run, run.total, run.choice.circuits[0]), _shots(run, run.least, least)),
    }
    if each is not None:
        needs["money"] = (round(run.total * each, 2), round(run.least * each, 2))
    for name, (total, enough) in needs.items():
        cap = getattr(caps, name)
        if cap is not None and cap < total:
            unit = caps.currency if name == "money" else name
            how = f", with --circuits {least}" if least else ", for the test alone"
            raise BudgetError(
                f"expected a budget of {total:,} {unit} for the recipe {recipe.name}, got {caps_line(caps)}; the least "
                f"that would do is {enough:,} {unit}{how}"
            )


def _shots(run: Run, circuits: int, training: int) -> int:
    """Of so many circuits, `training` of them to train: refining has shots of its own."""
    recipe, each = run.choice.recipe, run.task.shots or 0
    if not isinstance(recipe, Refine) or recipe.shots is None:
        return circuits * each
    steps = training - recipe.begun(run.task)
    return (circuits - steps) * each + steps * recipe.shots


def trained(
    run: Run,
    folder: RunFolder,
    request: Request,
    parts: Assembly,
    clock: Clock,
    *,
    control: bool,
    console: Console,
    watching: Watching,
) -> dict[str, Any]:
    """Run the recipe, save the model, and return what result.json holds."""
    metrics = MetricsWriter(folder)
    with clock.stage("train"), shown(console, request.model, run.listeners) as sinks:
        task = replace(run.task, tell=Announcer([metrics, *sinks, *watching.sinks]))
        found = drive_sites(run.choice.recipe.plan(task), watching.heeding(run.sites))
    model = _model(found, parts)
    model.save(folder.model)
    metrics.complete_looks()
    with busy(console, "measuring" + (" and training the classical control" if control else "")):
        result = measure(folder, replace(parts, model=model), request, clock, None, control=control)
    remote = _remote(run.tally, run, request, found) if run.tally else None
    recipe = figures(run, found)
    details = {**result[DETAILS], "honest": _honest(run, request, found)}
    if run.remote:
        result["samples_per_second"] = None
    return {**result, "remote": remote, "recipe": recipe, DETAILS: details}


def figures(run: Run, found: RecipeResult) -> dict[str, Any]:
    """Of a recipe, as JSON."""
    return {
        "name": found.recipe,
        "reason": run.choice.reason,
        "where": found.where if run.remote else f"simulated on this machine as if remote: {found.where}",
        "circuits": {"training": found.spent.training, "validation": found.spent.validation, "test": found.spent.test},
        "shots_total": found.spent.shots,
        "cost": round(found.spent.cost, 6),
        "accuracy_asked": run.task.accuracy,
        "reached_after": found.reached,
        "validation_accuracy": found.validation,
        "test_accuracy": found.accuracy,
        "notes": found.notes,
    }


def _task(folder: RunFolder, request: Request, parts: Assembly, *, remote: bool) -> Task:
    model = parts.model
    objective = model.objective_for(parts.data.n_classes)
    rows = {}
    for name in ("train", "validation", "test"):
        encoded, y = parts.part(name)
        rows[name] = Rows.of(encoded.z, y, objective, name)
    exact = remote and request.place.exact
    return Task(
        objective,
        rows["train"],
        rows["validation"],
        rows["test"],
        settings=parts.model.settings,
        shots=request.shots or (None if exact else SHOTS),
        circuits=request.circuits,
        accuracy=request.accuracy,
        seed=request.seed,
        checkpoints=CheckpointFile(folder.path / CHECKPOINTS / LOCAL_CHECKPOINT),
    )


def _model(found: RecipeResult, parts: Assembly) -> Model:
    """The trained model, which may measure and read out something else than its definition says."""
    objective, given = found.objective, parts.model
    readout = type(objective.readout)
    model = Model(
        given.features, objective.circuit, objective.measured, readout, settings=given.settings,
        circuit_scale=given.circuit_scale, penalty=given.penalty, classes=np.arange(parts.data.n_classes),
        class_names=given.class_names, name=given.name, backend=parts.meter,
    )  # fmt: skip
    classes = np.arange(parts.data.n_classes)
    model.adopt(Trained(parts.encoded["train"].feature_map, objective, found.parameters.copy(), classes))
    return model


def _remote(tally: Tally, run: Run, request: Request, found: RecipeResult) -> dict[str, Any]:
    """As `measure` has it for other trainings."""
    rows = 0 if run.task.test is None else run.task.test.count
    accuracy = found.accuracy or 0.0
    return {
        "place": request.place.title,
        "noise_id": tally.noise_id,
        "shots": run.task.shots,
        "test_accuracy": accuracy,
        "test_rows": rows,
        "test_interval": list(wilson_interval(round(accuracy * rows), rows)),
        **tally.figures(),
    }


def _honest(run: Run, request: Request, found: RecipeResult) -> str:
    """Where training happened, and on what."""
    where = found.where[:1].upper() + found.where[1:]
    if not run.remote:
        return f"{where}; here all of it was simulated on this machine, nothing ran on quantum hardware."
    place = request.place
    hardware = "quantum hardware" if place.honest.startswith("Trained on quantum hardware") else "not quantum hardware"
    return f"{where}; its {found.spent.circuits:,} circuits by {place.title}: {hardware}."
