"""Circuits in IonQ's native gates: `to_native` once for a structure, `fold` for the angles of each batch of rows."""

from q_store.circuits.native.compiler import Counts, counts, to_native
from q_store.circuits.native.folding import Folded, fold
from q_store.circuits.native.pulses import Family

__all__ = ["Counts", "Family", "Folded", "counts", "fold", "to_native"]
