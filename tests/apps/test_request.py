"""What a run was asked for: names, ranges, places, and what is said of them."""

from __future__ import annotations

import pytest

from q_store.apps.place import HERE, Place, check_place
from q_store.apps.request import COUNTS, Request, check_same, folder_name, stored
from q_store.errors import ConfigError, RunError

FAR = Place("ionq", url="http://127.0.0.1:8000/v0.4").written_out()


@pytest.mark.parametrize("place", [HERE, FAR, Place("ionq", "qpu.forte-1", "native").written_out()])
def test_a_request_comes_back_from_its_config(place):
    request = Request("ring", rows=30, shots=200, place=place)
    assert stored({"request": request.config()}, "config.json") == request


def test_a_config_of_an_earlier_version_is_a_local_run():
    asked = {"model": "ring", "data": "bundled", "epochs": None, "seed": 0}
    assert stored({"request": asked}, "config.json") == Request("ring")
    assert Request("ring").config() == {**asked, "backend": "local"}


@pytest.mark.parametrize("change", [{"epochs": "3"}, {"rows": 2.5}, {"seed": None}, {"place": 1}, {"backend": "aer"}])
def test_a_damaged_request_is_refused(change):
    with pytest.raises(RunError, match=r"config\.json"):
        stored({"request": {**Request("ring").config(), **change}}, "config.json")


@pytest.mark.parametrize("name", COUNTS)
def test_counts_have_a_range(name):
    least, largest = COUNTS[name]
    option = f"--{name.replace('_', '-')}"
    for value, words in (
        (least - 1, f"{option} of {least} or more"),
        (largest + 1, f"{option} of {largest:,} or less"),
    ):
        with pytest.raises(ConfigError, match=words):
            Request("ring", **{name: value})
    Request("ring", recipe="regress" if name == "circuits" else None, **{name: least})


def test_circuits_are_counted_for_a_recipe_alone():
    with pytest.raises(ConfigError, match="--circuits only with --recipe"):
        Request("ring", circuits=100)


def test_defaults_of_a_remote_place_are_written_out(monkeypatch):
    assert (FAR.target, FAR.gateset, FAR.noise) == ("simulator", "qis", "ideal")
    assert Place("ionq", "qpu.forte-1").written_out().noise is None
    monkeypatch.setenv("IONQ_API_URL", "http://127.0.0.1:9/v0.4/")
    assert Place("ionq").written_out().url == "http://127.0.0.1:9/v0.4"
    monkeypatch.delenv("IONQ_API_URL")
    assert Place("ionq").written_out().url == "https://api.ionq.co/v0.4"


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        (Place("ionqq"), ("--backend", "did you mean 'ionq'?")),
        (Place(target="simulator"), ("--target only with --backend ionq", "add --backend ionq")),
        (Place(noise="aria-1"), ("--noise only with --backend ionq",)),
        (Place("ionq", "simulater"), ("--target", "did you mean 'simulator'?")),
        (Place("ionq", "forte-1"), ("--target", "did you mean 'qpu.forte-1'?")),
        (Place("ionq", gateset="nativ"), ("--gateset", "did you mean 'native'?")),
        (Place("ionq", noise="aria1"), ("--noise", "did you mean 'aria-1'?")),
        (Place("ionq", "qpu.forte-1", noise="aria-1"), ("--noise only with the target simulator", "leave it out")),
        (Place("ionq", url="localhost:8000"), ("--url such as", "localhost:8000")),
        (Place("ionq", url="http://host:port/v0.4"), ("--url such as",)),
        (Place("ionq", url="https://me:secret@host/v0.4"), ("without a name or password", "IONQ_API_KEY")),
    ],
)
def test_places_that_do_not_exist_are_refused(place, parts):
    with pytest.raises(ConfigError) as caught:
        check_place(place)
    for part in parts:
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "title", "words"),
    [
        (HERE, "an exact simulation on this machine", "Trained locally, on an exact simulation of the circuit, not on"),
        (FAR, "simulator at 127.0.0.1:8000", "a simulator, not quantum hardware"),
        (Place("ionq", "qpu.forte-1", url=FAR.url), "qpu.forte-1 at 127.0.0.1:8000", "is not IonQ's, not quantum"),
        (
            Place("ionq", "qpu.forte-1", "native"),
            "qpu.forte-1 at api.ionq.co, native gates",
            "Trained on quantum",
        ),
        (Place("ionq", noise="aria-1"), "simulator at api.ionq.co, noise of aria-1", "a simulator, not quantum"),
        (Place("ionq", "qpu.forte-1", url="https://ionq.co.evil.org/v0.4"), "ionq.co.evil.org", "not quantum hardware"),
    ],
)
def test_only_ionqs_own_machines_are_called_quantum_hardware(place, title, words):
    assert title in place.title
    assert words in place.honest


def test_exact_and_free_places():
    assert HERE.exact
    assert FAR.exact
    assert FAR.free
    assert not Place("ionq", noise="aria-1").exact
    hardware = Place("ionq", "qpu.forte-1")
    assert (hardware.exact, hardware.free) == (False, False)


def test_another_place_is_another_run():
    run = Request("ring", place=FAR)
    check_same(run, {"target": "simulator", "rows": None}, "run")
    with pytest.raises(ConfigError, match=r"another target 'simulator' in the run, .* given; another batch-size"):
        check_same(run, {"target": "qpu.forte-1", "batch_size": 3}, "run")


def test_names_and_folders_say_where():
    assert folder_name(Request("ring")) == "ring-bundled-seed0"
    assert folder_name(Request("ring", place=FAR)) == "ring-bundled-ionq-seed0"
    assert Request("ring", place=FAR).title.endswith("seed 0, by simulator at 127.0.0.1:8000")
