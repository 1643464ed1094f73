"""The file: what is refused, what is checked, and that a refusal of the disk loses nothing."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from tests.store.parts import DOMAIN, Clock, answer, as_counts, begun, intent, part

from q_store.errors import StorageError, StoreError
from q_store.store import Amounts, State, Store, database, keys_of, sql
from q_store.store.database import Database

GOLDEN = Path(__file__).parent / "golden" / "v1.db.gz"
ROWS = [{0: 60, 3: 40}, {1: 100}, {2: 99, 5: 1}]
PAGE = 4096


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.db"


def fill(store, name="a", numbers=(0, 1, 2)):
    """A ticket that is done."""
    store.tickets.intend(intent(part(name, numbers)))
    store.tickets.sent(name, name)
    store.tickets.settle(name, State.DONE, answer(ROWS * (len(numbers) // 3), cost=0.5))


def closed(path):
    """A store with a ticket in it, closed."""
    with begun(Store(path, clock=Clock())) as store:
        fill(store)
    return path


def raw(path, *statements):
    """Change a file as another program would."""
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def crashed(path, folder):
    """Copies of an open store's files, as a crash leaves them."""
    target = folder / "crashed.db"
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", f"{target}{end}")
    return target


def test_everything_is_there_after_reopening(path):
    with Store(closed(path)) as store:
        assert as_counts(store.samples.lookup(keys_of(part("b"), DOMAIN), 3)) == ROWS
        assert as_counts(store.journal.read("run", 0).measured) == ROWS
        assert store.budget.totals()["USD"][0] == Amounts(0.5, 300, 3)
        store.check()
    assert sorted(each.name for each in path.parent.iterdir()) == ["s.db", "s.db-lock"]


def test_what_is_committed_is_flushed(path):
    with Store(path) as store:
        assert store._database.rows("PRAGMA journal_mode") == [("wal",)]
        assert store._database.rows("PRAGMA synchronous") == [(2,)]
        assert store._database.rows("PRAGMA foreign_keys") == [(1,)]


def test_a_closed_store_says_so(path):
    store = Store(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match=r"after close\(\)"):
        store.runs.all()


def test_a_fork_opens_a_store_of_its_own(path, monkeypatch):
    """SQLite's connections do not survive a fork, and the leases are the parent's."""
    with begun(Store(path, clock=Clock())) as store:
        store.tickets.intend(intent(part("a")))
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(StoreError, match="in the process that opened it"):
                store.runs.all()
            store.close()
        assert store.tickets.open()[0].lease > 0


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_newer_store_is_refused(path):
    raw(closed(path), sql.SET_VERSION.format(3))
    with pytest.raises(StoreError, match=r"version 2 or older at .*s\.db, got 3; .* upgrade"):
        Store(path)


def test_another_program_s_file_is_refused_and_left_alone(path):
    raw(path, "CREATE TABLE theirs(x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another SQLite file"):
        Store(path)
    assert path.read_bytes() == before
    path.write_text("a,b\n1,2\n" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(path)


def test_a_place_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"a folder for the store at .*none, got none; make it"):
        Store(tmp_path / "none" / "s.db")
    with pytest.raises(StorageError, match=r"got the folder .* e\.g\. .*runs\.db"):
        Store(tmp_path)


def damage(path, first=3, pages=4):
    """Overwrite some pages."""
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(os.urandom(pages * PAGE))


def test_a_damaged_file_is_found_at_opening(path):
    damage(closed(path))
    with pytest.raises(StoreError, match=r"undamaged store .*restore a copy"):
        Store(path)


def test_a_cut_file_is_found_at_opening(path):
    content = closed(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="undamaged"):
        Store(path)


@pytest.mark.parametrize("unclean", [False, True])
def test_a_large_file_is_read_at_opening_after_a_crash_only(path, tmp_path, monkeypatch, unclean):
    """Otherwise opening would take as long as reading everything; `check` finds the damage too."""
    monkeypatch.setattr(database, "_SMALL", 0)
    with begun(Store(path)) as store:
        fill(store)
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        store.runs.note("run", [("after", {})])  # something in the log
        broken = crashed(path, tmp_path)
    broken = broken if unclean else path
    number = store_page(path, "charges")
    damage(broken, number - 1, 1)
    if unclean:
        with pytest.raises(StoreError, match="undamaged"):
            Store(broken)
    else:
        with Store(broken) as store, pytest.raises(StoreError, match="undamaged"):
            store.check()


def store_page(path, table):
    connection = sqlite3.connect(path)
    ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
    connection.close()
    return page


def test_others_that_have_the_file_open_are_no_crash(path, monkeypatch):
    """Their log is there too, but a second process need not read everything."""
    monkeypatch.setattr(database, "_SMALL", 0)
    checked = []
    monkeypatch.setattr(Database, "_checked", lambda _, statement: checked.append(statement))
    with begun(Store(path)), Store(path):
        assert Path(f"{path}-wal").stat().st_size > 0
    assert checked == []


# ------------------------------------------------------------------------------------------------------------- refusal


def test_a_full_disk_loses_nothing(path):
    with begun(Store(path, clock=Clock())) as store:
        fill(store, "a")
        store.tickets.intend(intent(part("b", range(300, 900))))
        store.tickets.sent("b", "b")
        pages = store._database.rows("PRAGMA page_count")[0][0]
        store._database.rows(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StorageError, match="the disk is full; free some space"):
            store.tickets.settle("b", State.DONE, answer(ROWS * 200, cost=1.0))
        assert store.tickets.get("b").state is State.SENT
        assert store.budget.totals()["USD"] == (Amounts(0.5, 300, 3), Amounts(1.0, 60_000, 600))
        assert len(store.samples) == 3
        store.check()
        store._database.rows("PRAGMA max_page_count = 1000000")
        store.tickets.settle("b", State.DONE, answer(ROWS * 200, cost=1.0))
        assert len(store.samples) == 603
        store.check()


def note_small_and_large(store):
    with store.transaction():
        store.runs.note("run", [("first", {})])
        store.runs.note("run", [("large", {"text": "x" * 100_000})])


def test_a_full_disk_within_a_transaction_undoes_all_of_it(path):
    with begun(Store(path, clock=Clock())) as store:
        pages = store._database.rows("PRAGMA page_count")[0][0]
        store._database.rows(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StorageError, match="full"):
            note_small_and_large(store)
        assert store.runs.notes("run") == []
        store.runs.note("run", [("small", {})])


CHILD = """
import os, resource, signal, sys
from q_store.errors import StorageError
from q_store.store import Store
path, what = sys.argv[1:]
if what == "limit":
    store = Store(path)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path + "-wal") + 20_000,) * 2)
elif os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    store = store if what == "limit" else Store(path)
    for k in range(100):
        store.runs.note("run", [("event", {"text": "x" * 5000})])
except StorageError as error:
    print(error)
"""


def in_a_child(path, what):
    done = subprocess.run([sys.executable, "-c", CHILD, path, what], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_a_limit_of_the_system_loses_nothing(path):
    """A write that really fails: the largest size of a file is reached."""
    closed(path)
    assert "expected to keep" in in_a_child(path, "limit")
    with Store(path) as store:
        store.check()
        assert [note.seq for note in store.runs.notes("run")] == list(range(1, len(store.runs.notes("run")) + 1))
        assert as_counts(store.journal.read("run", 0).measured) == ROWS


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_place_is_refused_at_once(what):
    """As another user, if this one may write everywhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = closed(folder / "s.db")
        path.chmod(0o444 if what == "file" else 0o666)
        Path(f"{path}-lock").chmod(0o666)
        folder.chmod(0o777 if what == "file" else 0o555)
        said = in_a_child(path, what)
        folder.chmod(0o755)
        assert "read-only" in said or "no permission" in said or "permissions" in said
        path.chmod(0o644)
        with Store(path) as store:
            store.check()


# --------------------------------------------------------------------------------------------------- several at a time


def test_a_writer_waits_its_turn_and_not_for_ever(path):
    with begun(Store(path, busy=0.05)) as store, Store(path) as other:
        with other.transaction():
            other.runs.note("run", [("theirs", {})])
            with pytest.raises(StorageError, match=r"a turn to write .* another process"):
                store.runs.note("run", [("ours", {})])
            assert store.runs.notes("run") == []
        store.runs.note("run", [("ours", {})])
        assert [note.kind for note in other.runs.notes("run")] == ["theirs", "ours"]


def test_threads_take_turns(path):
    with begun(Store(path)) as store:
        threads = [
            threading.Thread(target=lambda k=k: [store.runs.note("run", [(f"{k}", {})] * 3) for _ in range(5)])
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [note.seq for note in store.runs.notes("run")] == list(range(1, 61))


def test_leases_of_the_dead_are_over_when_nobody_else_is_there(path, tmp_path):
    """A crash, then a new start: no need to wait for the lease."""
    clock = Clock()
    with begun(Store(path, clock=clock)) as store:
        store.tickets.intend(intent(part("a")))
        with Store(path, clock=clock) as other:
            assert other.tickets.adoptable() == []
        left = crashed(path, tmp_path)
    with Store(left, clock=clock) as new:
        assert [ticket.fingerprint for ticket in new.tickets.adopt()] == ["a"]


def test_a_store_that_is_closed_gives_its_tickets_away(path):
    clock = Clock()
    with begun(Store(path, clock=clock)) as first, Store(path, clock=clock) as second:
        second.tickets.intend(intent(part("a")))
        second.close()
        assert [ticket.fingerprint for ticket in first.tickets.adopt()] == ["a"]


def test_a_part_that_fails_is_undone_alone(store):
    with store.transaction():
        store.runs.note("run", [("before", {})])
        with contextlib.suppress(ZeroDivisionError), store.transaction():
            store.runs.note("run", [("inside", {})])
            raise ZeroDivisionError
        store.runs.note("run", [("after", {})])
    assert [(note.seq, note.kind) for note in store.runs.notes("run")] == [(1, "before"), (2, "after")]


# ------------------------------------------------------------------------------------------------ versions of the file


def test_the_first_version_can_be_read_for_ever(path):
    """The file was written by version 1; tests/store/make_golden.py made it."""
    path.write_bytes(gzip.decompress(GOLDEN.read_bytes()))
    with Store(path, clock=Clock()) as store:
        store.check()
        run = store.runs.get("golden")
        assert (run.config, run.seed, run.status, run.seconds) == ({"epochs": 2}, 5, "stopped", 12.5)
        assert [note.kind for note in store.runs.notes("golden")] == ["epoch", "epoch"]
        assert store.runs.checkpoints("golden")[0].path == "checkpoints/1.npz"
        assert as_counts(store.journal.read("golden", 0).measured) == ROWS
        found = store.samples.lookup(keys_of(part("x", range(4)), DOMAIN), 3)
        assert as_counts(found) == [{0: 160, 3: 40}, *ROWS[1:], {}]
        (ticket,) = store.tickets.open()
        assert (ticket.fingerprint, ticket.state, ticket.remote_id) == ("open", State.SENT, "remote")
        assert ticket.flips.tolist() == [1, 2]
        assert store.tickets.part(ticket).numbers.tolist() == [7, 8]
        assert store.budget.totals()["USD"] == (Amounts(0.75, 400, 4), Amounts(2.0, 200, 2))
        assert store.budget.left("golden", "ionq", "money") == 7.25


@pytest.mark.parametrize("version", range(1, len(sql.MIGRATIONS) + 1))
def test_the_schema_is_that_of_the_golden_file(path, version):
    """A change of the schema is a new migration, never an edit of an old one."""
    path.write_bytes(gzip.decompress(GOLDEN.with_name(f"v{version}.db.gz").read_bytes()))
    golden, new = (schema(Database(each, 0.0, migrations=sql.MIGRATIONS[:version])) for each in (path, None))
    assert golden == new


def test_a_ticket_of_version_1_names_no_account(path):
    path.write_bytes(gzip.decompress(GOLDEN.read_bytes()))
    with Store(path, clock=Clock()) as store:
        (ticket,) = store.tickets.open()
        assert (ticket.account, ticket.bought_again) == ("", False)


def schema(opened):
    rows = opened.rows("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    opened.close()
    return rows


def test_an_old_store_is_brought_up_to_date_in_one_step(path):
    closed(path)
    step = ("ALTER TABLE runs ADD COLUMN place TEXT NOT NULL DEFAULT 'here'", "CREATE TABLE more(x)")
    newer = (*sql.MIGRATIONS, step)
    opened = Database(path, 7.0, migrations=newer)
    assert opened.rows("SELECT place FROM runs") == [("here",)]
    assert opened.rows("SELECT version, at FROM migrations ORDER BY version")[2] == (3, 7.0)
    opened.close()
    with pytest.raises(StoreError, match="got 3"):
        Store(path)


def test_a_migration_that_fails_leaves_the_old_version(path):
    closed(path)
    broken = (*sql.MIGRATIONS, ("CREATE TABLE more(x)", "ALTER TABLE nothing ADD COLUMN x"))
    with pytest.raises(sqlite3.OperationalError):
        Database(path, 7.0, migrations=broken)
    with Store(path) as store:
        assert store._database.rows("SELECT name FROM sqlite_master WHERE name = 'more'") == []
        store.check()


def test_statements_are_in_one_module_only():
    folder = Path(sql.__file__).parent
    words = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ", "CREATE ")
    found = [path.name for path in folder.glob("*.py") if any(word in path.read_text() for word in words)]
    assert found == ["sql.py"]
