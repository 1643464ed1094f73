"""The store: what must outlive a process, in one SQLite file. See docs/store.md."""

from q_store.store.budget import Amounts, Budget, Caps, Standing, room
from q_store.store.journal import Replay, Source
from q_store.store.keys import Domain, keys, keys_of
from q_store.store.measured import EXACT, Measured, pooled
from q_store.store.runs import CheckpointFile, Note, Run
from q_store.store.store import Store
from q_store.store.ticket import BOUGHT_AGAIN, Held, Intent, State, StoredTicket

__all__ = [
    "BOUGHT_AGAIN",
    "EXACT",
    "Amounts",
    "Budget",
    "Caps",
    "CheckpointFile",
    "Domain",
    "Held",
    "Intent",
    "Measured",
    "Note",
    "Replay",
    "Run",
    "Source",
    "Standing",
    "State",
    "Store",
    "StoredTicket",
    "keys",
    "keys_of",
    "pooled",
    "room",
]
