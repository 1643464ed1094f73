"""The file of a pool: what it says, and everything that can be wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from q_store.apps.pool_file import COMMON, OWN, read
from q_store.apps.pool_place import PoolPlace
from q_store.errors import ConfigError
from q_store.pool.membership import Price
from q_store.store import Caps

ROOT = Path(__file__).resolve().parents[2]
FULL = """
allow_mixed = true
[budget]
run = "5USD,100circuits"
team = "2USD"
[settings]
thrift = 0.25
hedge = false
tries = 3
[[member]]
name = "forte"
provider = "ionq"
account = "team"
target = "qpu.forte-1"
gateset = "native"
url = "http://emulator.test/v0.4/"
key_file = "key.txt"
price = {two = 0.001, minimum = 1}
priority = 2
max_slice = 100
max_in_flight = 3
max_age = 3600
[[member]]
name = "here"
provider = "local"
[[member]]
name = "noisy"
provider = "qiskit_aer"
device = "GPU"
noise = "aria-1"
"""
ONE = '[[member]]\nname = "a"\nprovider = "ionq"\n'


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "pool.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_all_that_a_file_may_say(file, tmp_path):
    found = read(file(FULL))
    forte, here, noisy = found.entries
    assert found.budget == {None: Caps(money=5, circuits=100), "team": Caps(money=2)}
    assert (found.settings.allow_mixed, found.settings.thrift, found.settings.hedge) == (True, 0.25, False)
    assert (forte.place.target, forte.place.gateset, forte.place.noise) == ("qpu.forte-1", "native", None)
    assert forte.place.url == "http://emulator.test/v0.4"
    assert forte.key_file == tmp_path / "key.txt"
    assert (forte.price, forte.charges, forte.priority) == (Price(two=0.001, minimum=1), "team", 2)
    assert (forte.max_slice, forte.max_in_flight, forte.max_age) == (100, 3, 3600)
    assert (here.provider, here.charges, here.free, here.place.remote) == ("local", "local", True, False)
    assert (noisy.device, noisy.noise) == ("GPU", "aria-1")


def test_whether_to_buy_again_is_asked_for_explicitly(file):
    assert read(file(ONE)).settings.patience_of_buyers is None
    assert read(file(ONE + '[settings]\nlost = "buy"\nlost_after = 5')).settings.patience_of_buyers == 5


def test_what_may_be_said_of_a_pool(file):
    place = PoolPlace(read(file(FULL)))
    assert (place.remote, place.free, place.exact) == (True, False, False)
    assert place.title == "the pool of pool.toml (forte, here, noisy)"
    assert "not quantum hardware" in place.honest  # the address is not IonQ's
    ideal = PoolPlace(read(file(ONE + '[[member]]\nname = "b"\nprovider = "local"\n')))
    assert (ideal.free, ideal.exact) == (True, True)
    assert ideal.config() == {"backend": "pool", "pool": str(ideal.file.path)}
    machine = ONE + 'target = "qpu.forte-1"\nurl = "https://api.ionq.co/v0.4"\n'
    assert PoolPlace(read(file(machine))).honest.startswith("Trained on quantum hardware")
    mixed = machine + '[[member]]\nname = "b"\nprovider = "local"\n'
    assert "not every member is quantum hardware" in PoolPlace(read(file(mixed))).honest


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("at least one table [[member]]", "docs/pool.md")),
        ("member = 3", ("at least one table [[member]]",)),
        ("[[memebr]]", ("'memebr'; did you mean 'member'?",)),
        ("[[member]", ("expected TOML",)),
        ('[[member]]\nname = "a"\nname = "b"', ("each key once",)),
        ('[[member]]\nname = "a"', ("member 1 (a): expected a provider", "ionq, qiskit_aer")),
        ('[[member]]\nname = "a"\nprovider = "inoq"', ("did you mean 'ionq'?",)),
        ('[[member]]\nprovider = "local"', ("member 1: expected a name",)),
        (ONE + 'noize = "aria-1"', ("'noize'; did you mean 'noise'?",)),
        (ONE.replace("ionq", "local") + 'target = "simulator"', ("'target'",)),
        (ONE + 'noise = "aria-9"', ("noise to be one of", "did you mean 'aria-2'?")),
        (ONE + 'target = "qpu.fort-1"\nkey = "x"', ("'key'; did you mean 'key_",)),
        (ONE + "priority = 1.5", ("a whole number for priority, got 1.5",)),
        (ONE + "priority = true", ("a whole number for priority, got True",)),
        (ONE + "max_age = 'x'", ("a number for max_age",)),
        (ONE + 'key_env = "A"\nkey_file = "b"', ("key_env or key_file, got both",)),
        (ONE + "price = {tow = 1}", ("price", "did you mean 'two'?")),
        (ONE + "price = {two = -1}", ("prices of 0 or more",)),
        (ONE + ONE.replace('"a"', '"b"'), ("the same twice: a and b",)),
        (ONE + ONE + 'target = "qpu.forte-1"', ("different names, got 'a' as 1 and 2",)),
        (ONE + "[settings]\nthirft = 1", ("did you mean 'thrift'?",)),
        (ONE + "[settings]\nthrift = -1", ("settings: expected thrift of 0 or more",)),
        (ONE + "[settings]\nlost = 'bye'", ("lost to be 'wait' or 'buy', got 'bye'; did you mean 'buy'?",)),
        (ONE + "[settings]\nlost = 3", ("settings: expected text for lost",)),
        (ONE + "[settings]\nlost_after = -1", ("expected lost_after of 0 or more",)),
        (ONE + "[settings]\nthrift = 'x'", ("settings: expected a number for thrift",)),
        (ONE + "[budget]\nrun = '0USD'", ("budget.run above 0",)),
        (ONE + "[budget]\nrun = 5", ("text for run, got 5",)),
        (ONE + "[budget]\nionk = '5USD'", ("did you mean 'ionq'?",)),
        (ONE + "[budget]\nionq = '5seconds'", ("got a time",)),
        ("allow_mixed = 1\n" + ONE, ("true or false for allow_mixed",)),
    ],
)
def test_what_is_wrong_is_said(file, text, parts):
    path = file(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text"):
        read(tmp_path / "binary.toml")


def test_the_document_shows_a_file_that_is_understood(file):
    about = (ROOT / "docs" / "pool.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", about, re.DOTALL | re.MULTILINE)
    found = read(file(shown))
    assert [entry.charges for entry in found.entries] == ["ionq", "team-b"]
    assert found.budget[None] == Caps(money=20, circuits=50_000, seconds=6 * 3600)


def test_every_option_of_a_member_is_documented_and_no_other():
    about = (ROOT / "docs" / "pool.md").read_text(encoding="utf-8").split("| member option |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.+?`(?:, `.+?`)*) \| (.+?) \|", about, re.MULTILINE)
    documented = {(name, who.strip("`")) for cell, who in rows for name in re.findall(r"`(\w+)`", cell)}
    own = {(name, provider) for provider, options in OWN.items() for name in options}
    assert documented == own | {(name, "all") for name in COMMON}
