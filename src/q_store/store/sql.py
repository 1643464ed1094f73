# ruff: noqa: S608  # statements are put together from the constants of this file, never from values
"""Every SQL statement of the store: the schema, its migrations, and what reads and writes it.

Standard SQL as far as SQLite and PostgreSQL share it (ON CONFLICT above all); WITHOUT ROWID and the pragmas are
SQLite's own. Money is whole nano-units of its currency, so that sums are exact; times are seconds since 1970; `run` is
the number of a run, 0 or '' stands for any in `caps`.
"""

from __future__ import annotations

APPLICATION_ID = 0x51_53_54_52  # "QSTR", in the header of the file
OPEN_STATES = "('INTENT', 'SENT', 'UNCERTAIN')"

VERSION_1 = (
    "CREATE TABLE migrations(version INTEGER PRIMARY KEY, at REAL NOT NULL)",
    """CREATE TABLE runs(
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, config TEXT NOT NULL,
        seed INTEGER NOT NULL, versions TEXT NOT NULL, status TEXT NOT NULL, started REAL NOT NULL, finished REAL,
        seconds REAL NOT NULL DEFAULT 0)""",
    """CREATE TABLE events(
        run INTEGER NOT NULL REFERENCES runs, seq INTEGER NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL,
        body TEXT NOT NULL, PRIMARY KEY(run, seq)) WITHOUT ROWID""",
    """CREATE TABLE checkpoints(
        run INTEGER NOT NULL REFERENCES runs, step INTEGER NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
        time REAL NOT NULL, PRIMARY KEY(run, step, path)) WITHOUT ROWID""",
    "CREATE TABLE circuits(digest BLOB PRIMARY KEY, n_qubits INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    # where samples come from: a structure, measured in a noise domain
    """CREATE TABLE origins(
        id INTEGER PRIMARY KEY, circuit BLOB NOT NULL REFERENCES circuits, domain TEXT NOT NULL,
        UNIQUE(circuit, domain))""",
    # shots NULL: exact probabilities; since: time of the oldest shots
    """CREATE TABLE samples(
        key BLOB PRIMARY KEY, origin INTEGER NOT NULL REFERENCES origins, n_qubits INTEGER NOT NULL, shots INTEGER,
        since INTEGER NOT NULL, weights BLOB NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE jobs(
        run INTEGER NOT NULL REFERENCES runs, job INTEGER NOT NULL, digest BLOB NOT NULL, n_qubits INTEGER NOT NULL,
        PRIMARY KEY(run, job)) WITHOUT ROWID""",
    """CREATE TABLE sources(
        id INTEGER PRIMARY KEY, backend TEXT NOT NULL, noise_id TEXT NOT NULL, UNIQUE(backend, noise_id))""",
    """CREATE TABLE journal(
        run INTEGER NOT NULL, job INTEGER NOT NULL, number INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources,
        shots INTEGER, weights BLOB NOT NULL, PRIMARY KEY(run, job, number),
        FOREIGN KEY(run, job) REFERENCES jobs(run, job)) WITHOUT ROWID""",
    """CREATE TABLE tickets(
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, run INTEGER NOT NULL, job INTEGER NOT NULL,
        provider TEXT NOT NULL, backend TEXT NOT NULL, origin INTEGER NOT NULL REFERENCES origins, shots INTEGER,
        seed TEXT NOT NULL, circuits INTEGER NOT NULL, numbers BLOB, keys BLOB, flips BLOB,
        money INTEGER NOT NULL, currency TEXT NOT NULL, reserved_shots INTEGER NOT NULL,
        reserved_circuits INTEGER NOT NULL,
        state TEXT NOT NULL CHECK(state IN ('INTENT', 'SENT', 'UNCERTAIN', 'DONE', 'FAILED', 'CANCELLED')),
        remote_id TEXT, owner TEXT NOT NULL, lease REAL NOT NULL, times TEXT NOT NULL, reason TEXT NOT NULL,
        created REAL NOT NULL, FOREIGN KEY(run, job) REFERENCES jobs(run, job))""",
    "CREATE INDEX tickets_by_state ON tickets(state, lease)",
    "CREATE INDEX tickets_of_job ON tickets(run, job)",
    "CREATE TABLE claims(key BLOB PRIMARY KEY, ticket INTEGER NOT NULL REFERENCES tickets) WITHOUT ROWID",
    "CREATE INDEX claims_of_ticket ON claims(ticket)",
    """CREATE TABLE charges(
        id INTEGER PRIMARY KEY, ticket INTEGER NOT NULL UNIQUE REFERENCES tickets, time REAL NOT NULL,
        money INTEGER NOT NULL, shots INTEGER NOT NULL, circuits INTEGER NOT NULL)""",
    # sums of charges and of what open tickets reserve, kept in the transactions that change them
    """CREATE TABLE accounts(
        run INTEGER NOT NULL REFERENCES runs, provider TEXT NOT NULL, currency TEXT NOT NULL,
        spent_money INTEGER NOT NULL DEFAULT 0, spent_shots INTEGER NOT NULL DEFAULT 0,
        spent_circuits INTEGER NOT NULL DEFAULT 0, held_money INTEGER NOT NULL DEFAULT 0 CHECK(held_money >= 0),
        held_shots INTEGER NOT NULL DEFAULT 0 CHECK(held_shots >= 0),
        held_circuits INTEGER NOT NULL DEFAULT 0 CHECK(held_circuits >= 0),
        PRIMARY KEY(run, provider, currency)) WITHOUT ROWID""",
    """CREATE TABLE caps(
        run INTEGER NOT NULL, provider TEXT NOT NULL, money INTEGER, currency TEXT NOT NULL, shots INTEGER,
        circuits INTEGER, seconds REAL, PRIMARY KEY(run, provider)) WITHOUT ROWID""",
)
# which account of the service a slice was sent to; '' for those of version 1
VERSION_2 = ("ALTER TABLE tickets ADD COLUMN account TEXT NOT NULL DEFAULT ''",)
MIGRATIONS = (VERSION_1, VERSION_2)
"""MIGRATIONS[v] leads from version v to v + 1."""

# ------------------------------------------------------------------------------------------------------ the file itself

BEGIN, COMMIT, ROLLBACK = "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
BEGIN_READING = "BEGIN"
SAVEPOINT, RELEASE, ROLLBACK_TO = "SAVEPOINT part{}", "RELEASE part{}", "ROLLBACK TO part{}"
GET_APPLICATION_ID, SET_APPLICATION_ID = "PRAGMA application_id", f"PRAGMA application_id = {APPLICATION_ID}"
GET_VERSION, SET_VERSION = "PRAGMA user_version", "PRAGMA user_version = {}"
USE_WAL = "PRAGMA journal_mode = WAL"
SETTINGS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -64000",
    "PRAGMA trusted_schema = OFF",
)
QUICK_CHECK, FULL_CHECK, FOREIGN_KEY_CHECK = (
    "PRAGMA quick_check(1)",
    "PRAGMA integrity_check(1)",
    "PRAGMA foreign_key_check",
)
COUNT_TABLES = "SELECT COUNT(*) FROM sqlite_master"
ADD_MIGRATION = "INSERT INTO migrations(version, at) VALUES (:version, :at)"

# ----------------------------------------------------------------------------------------- runs, events and checkpoints

_RUN = "SELECT number, id, name, config, seed, versions, status, started, finished, seconds FROM runs"
ADD_RUN = """INSERT INTO runs(id, name, config, seed, versions, status, started)
    VALUES (:id, :name, :config, :seed, :versions, 'running', :started)"""
GET_RUN = f"{_RUN} WHERE id = :id"
ALL_RUNS = f"{_RUN} ORDER BY number"
RUN_IDS = "SELECT id FROM runs ORDER BY number DESC"
SET_STATUS = "UPDATE runs SET status = :status, finished = :finished WHERE number = :run"
ADD_SECONDS = "UPDATE runs SET seconds = seconds + :seconds WHERE number = :run"
GET_SECONDS = "SELECT seconds FROM runs WHERE number = :run"
LAST_EVENT = "SELECT COALESCE(MAX(seq), 0) FROM events WHERE run = :run"
ADD_EVENT = "INSERT INTO events(run, seq, time, kind, body) VALUES (?, ?, ?, ?, ?)"
EVENTS = "SELECT seq, time, kind, body FROM events WHERE run = :run AND seq > :after ORDER BY seq LIMIT :limit"
ADD_CHECKPOINT = """INSERT INTO checkpoints(run, step, path, sha256, time) VALUES (:run, :step, :path, :sha256, :time)
    ON CONFLICT(run, step, path) DO UPDATE SET sha256 = excluded.sha256, time = excluded.time"""
CHECKPOINTS = "SELECT step, path, sha256, time FROM checkpoints WHERE run = :run ORDER BY step, time"

# --------------------------------------------------------------------------------------- circuits, samples, the journal

ADD_CIRCUIT = "INSERT INTO circuits(digest, n_qubits, body) VALUES (:digest, :n_qubits, :body) ON CONFLICT DO NOTHING"
GET_CIRCUIT = "SELECT body FROM circuits WHERE digest = :digest"
ADD_ORIGIN = "INSERT INTO origins(circuit, domain) VALUES (:circuit, :domain) ON CONFLICT DO NOTHING"
GET_ORIGIN = "SELECT id FROM origins WHERE circuit = :circuit AND domain = :domain"
GET_SAMPLES = "SELECT key, n_qubits, shots, since, weights FROM samples WHERE key IN ({})"
PUT_SAMPLE = """INSERT INTO samples(key, origin, n_qubits, shots, since, weights) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT(key) DO UPDATE SET shots = excluded.shots, since = excluded.since, weights = excluded.weights"""
COUNT_SAMPLES = "SELECT COUNT(*) FROM samples"
ADD_JOB = "INSERT INTO jobs(run, job, digest, n_qubits) VALUES (:run, :job, :digest, :n_qubits) ON CONFLICT DO NOTHING"
NEXT_JOB = "SELECT COALESCE(MAX(job), -1) + 1 FROM jobs WHERE run = :run"
GET_JOB = "SELECT digest, n_qubits FROM jobs WHERE run = :run AND job = :job"
ADD_SOURCE = "INSERT INTO sources(backend, noise_id) VALUES (:backend, :noise_id) ON CONFLICT DO NOTHING"
GET_SOURCE = "SELECT id FROM sources WHERE backend = :backend AND noise_id = :noise_id"
READ_JOURNAL = """SELECT number, shots, weights, backend, noise_id FROM journal JOIN sources ON sources.id = source
    WHERE run = :run AND job = :job ORDER BY number"""
GET_ENTRIES = "SELECT number, shots, weights FROM journal WHERE run = ? AND job = ? AND number IN ({})"
PUT_ENTRY = """INSERT INTO journal(run, job, number, source, shots, weights) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT(run, job, number) DO UPDATE
    SET source = excluded.source, shots = excluded.shots, weights = excluded.weights"""

# --------------------------------------------------------------------------------------------------- tickets and claims

_TICKET = """SELECT t.id, fingerprint, r.id, t.run, t.job, provider, backend, t.origin, lower(hex(o.circuit)), o.domain,
    n_qubits, t.shots, t.seed, circuits, numbers, keys, flips, money, currency, reserved_shots, reserved_circuits,
    state, remote_id, owner, lease, times, reason, created, account
    FROM tickets t JOIN runs r ON r.number = t.run JOIN origins o ON o.id = t.origin
    JOIN jobs j ON j.run = t.run AND j.job = t.job"""
ADD_TICKET = """INSERT INTO tickets(
    fingerprint, run, job, provider, backend, origin, shots, seed, circuits, numbers, keys, flips, money, currency,
    reserved_shots, reserved_circuits, state, owner, lease, times, reason, created, account)
    VALUES (:fingerprint, :run, :job, :provider, :backend, :origin, :shots, :seed, :circuits, :numbers, :keys, :flips,
    :money, :currency, :reserved_shots, :reserved_circuits, 'INTENT', :owner, :lease, :times, '', :created, :account)"""
GET_TICKET = f"{_TICKET} WHERE fingerprint = :fingerprint"
CHARGES_OF_RUN = """SELECT fingerprint, c.money, c.shots, c.circuits FROM charges c JOIN tickets t ON t.id = c.ticket
    WHERE t.run = :run"""
TICKETS_OF_RUN = f"{_TICKET} WHERE t.run = :run ORDER BY t.id"
OPEN_TICKETS = f"{_TICKET} WHERE state IN {OPEN_STATES} ORDER BY t.id"
ADOPTABLE = f"{_TICKET} WHERE state IN {OPEN_STATES} AND lease <= :now AND owner <> :owner ORDER BY t.id"
ADOPT = "UPDATE tickets SET owner = :owner, lease = :lease WHERE id = :id"
RENEW = """UPDATE tickets SET lease = :lease
    WHERE owner = :owner AND state IN ('INTENT', 'SENT') AND (:run IS NULL OR run = :run)"""
HELD_BY = "SELECT fingerprint FROM tickets WHERE owner = :owner AND state IN ('INTENT', 'SENT')"
RELEASE_LEASES = f"UPDATE tickets SET lease = 0 WHERE owner = :owner AND state IN {OPEN_STATES}"
RELEASE_ALL_LEASES = f"UPDATE tickets SET lease = 0 WHERE lease > 0 AND state IN {OPEN_STATES}"
MOVE_TICKET = """UPDATE tickets SET state = :state, remote_id = :remote_id, lease = :lease, times = :times,
    reason = :reason WHERE id = :id"""
NOTE_TICKET = "UPDATE tickets SET times = :times, reason = :reason WHERE id = :id"
SHRINK_TICKET = """UPDATE tickets SET money = money - :money, reserved_shots = reserved_shots - :shots,
    reserved_circuits = reserved_circuits - :circuits WHERE id = :id"""
SET_ASIDE = """INSERT INTO tickets(
    fingerprint, run, job, provider, backend, origin, shots, seed, circuits, numbers, keys, flips, money, currency,
    reserved_shots, reserved_circuits, state, remote_id, owner, lease, times, reason, created, account)
    SELECT :fingerprint, run, job, provider, backend, origin, shots, seed, :count, :numbers, NULL, NULL, :money,
    currency, :shots, :circuits, 'UNCERTAIN', remote_id, owner, 0, times, :reason, created, account FROM tickets
    WHERE id = :id"""
CLOSE_TICKET = """UPDATE tickets SET state = :state, times = :times, reason = :reason, numbers = NULL, keys = NULL,
    flips = NULL WHERE id = :id"""
GET_CLAIMS = """SELECT key, fingerprint, owner, lease FROM claims JOIN tickets ON tickets.id = ticket
    WHERE key IN ({})"""
PUT_CLAIM = "INSERT INTO claims(key, ticket) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET ticket = excluded.ticket"
DROP_CLAIMS = "DELETE FROM claims WHERE ticket = :id"

# ----------------------------------------------------------------------------------------------------- money and limits

ADD_CHARGE = "INSERT INTO charges(ticket, time, money, shots, circuits) VALUES (:id, :time, :money, :shots, :circuits)"
CHARGED = """SELECT COALESCE(SUM(c.money), 0), COALESCE(SUM(c.shots), 0), COALESCE(SUM(c.circuits), 0)
    FROM charges c JOIN tickets t ON t.id = c.ticket WHERE t.run = :run AND t.job = :job"""
OPEN_ACCOUNT = """INSERT INTO accounts(run, provider, currency) VALUES (:run, :provider, :currency)
    ON CONFLICT DO NOTHING"""
HOLD = """UPDATE accounts SET held_money = held_money + :money, held_shots = held_shots + :shots,
    held_circuits = held_circuits + :circuits WHERE run = :run AND provider = :provider AND currency = :currency"""
SPEND = """UPDATE accounts SET spent_money = spent_money + :money, spent_shots = spent_shots + :shots,
    spent_circuits = spent_circuits + :circuits WHERE run = :run AND provider = :provider AND currency = :currency"""
BALANCE = """SELECT currency, SUM(spent_money), SUM(spent_shots), SUM(spent_circuits), SUM(held_money), SUM(held_shots),
    SUM(held_circuits) FROM accounts WHERE (:run = 0 OR run = :run) AND (:provider = '' OR provider = :provider)
    GROUP BY currency ORDER BY currency"""
PUT_CAP = """INSERT INTO caps(run, provider, money, currency, shots, circuits, seconds)
    VALUES (:run, :provider, :money, :currency, :shots, :circuits, :seconds)
    ON CONFLICT(run, provider) DO UPDATE SET money = excluded.money, currency = excluded.currency,
    shots = excluded.shots, circuits = excluded.circuits, seconds = excluded.seconds"""
GET_CAPS = """SELECT run, provider, money, currency, shots, circuits, seconds FROM caps
    WHERE run IN (0, :run) AND provider IN ('', :provider) ORDER BY run DESC, provider DESC"""
# rows of `accounts` that differ from what tickets and charges say
AUDIT = f"""SELECT a.run, a.provider, a.currency FROM accounts a LEFT JOIN (
        SELECT run, provider, currency, SUM(money) money, SUM(reserved_shots) shots, SUM(reserved_circuits) circuits
        FROM tickets WHERE state IN {OPEN_STATES} GROUP BY run, provider, currency) h
    ON h.run = a.run AND h.provider = a.provider AND h.currency = a.currency LEFT JOIN (
        SELECT run, provider, currency, SUM(c.money) money, SUM(c.shots) shots, SUM(c.circuits) circuits
        FROM charges c JOIN tickets t ON t.id = c.ticket GROUP BY run, provider, currency) s
    ON s.run = a.run AND s.provider = a.provider AND s.currency = a.currency
    WHERE a.held_money <> COALESCE(h.money, 0) OR a.held_shots <> COALESCE(h.shots, 0)
    OR a.held_circuits <> COALESCE(h.circuits, 0) OR a.spent_money <> COALESCE(s.money, 0)
    OR a.spent_shots <> COALESCE(s.shots, 0) OR a.spent_circuits <> COALESCE(s.circuits, 0)"""

# -------------------------------------------------------------------------------------------------------------- exports

_OF_RUN = "JOIN runs ON runs.number ="
EXPORT_RUNS = "SELECT id, name, config, seed, versions, status, started, finished, seconds FROM runs ORDER BY number"
EXPORT_EVENTS = f"SELECT id, seq, time, kind, body FROM events {_OF_RUN} run ORDER BY run, seq"
EXPORT_CHECKPOINTS = f"SELECT id, step, path, sha256, time FROM checkpoints {_OF_RUN} run ORDER BY run, step, path"
EXPORT_SAMPLES = """SELECT lower(hex(key)), lower(hex(circuit)), domain, n_qubits, since, shots, weights
    FROM samples JOIN origins ON origins.id = origin ORDER BY key"""
EXPORT_JOURNAL = f"""SELECT runs.id, job, journal.number, backend, noise_id, shots, weights
    FROM journal {_OF_RUN} run JOIN sources ON sources.id = source ORDER BY run, job, journal.number"""
EXPORT_TICKETS = f"""SELECT fingerprint, runs.id, job, provider, backend, lower(hex(circuit)), shots, circuits, state,
    remote_id, owner, times, reason, created, money / 1e9, currency
    FROM tickets {_OF_RUN} run JOIN origins ON origins.id = origin ORDER BY tickets.id"""
EXPORT_CHARGES = f"""SELECT fingerprint, runs.id, provider, backend, time, charges.money / 1e9, currency, charges.shots,
    charges.circuits FROM charges JOIN tickets ON tickets.id = ticket {_OF_RUN} run ORDER BY charges.id"""


def counting(statement: str) -> str:
    """How many rows a statement of this module has."""
    return f"SELECT COUNT(*) FROM ({statement})"
