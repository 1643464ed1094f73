"""Structures of circuits, each kept once, and the noise domains that they were measured in."""

from __future__ import annotations

import json
import zlib
from binascii import unhexlify

from q_store.circuits.circuit import Circuit
from q_store.circuits.serialise import circuit_from_json, circuit_to_json
from q_store.errors import StoreError
from q_store.store import sql
from q_store.store.database import Database
from q_store.store.keys import Domain


class Circuits:
    """The tables `circuits` and `origins`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, circuit: Circuit) -> None:
        """Keep a structure; again is harmless."""
        body = zlib.compress(json.dumps(circuit_to_json(circuit), separators=(",", ":")).encode())
        values = {"digest": unhexlify(circuit.digest), "n_qubits": circuit.n_qubits, "body": body}
        self._database.run(sql.ADD_CIRCUIT, values)

    def get(self, digest: str) -> Circuit:
        """The structure of this digest. Raises StoreError where there is none, or it is damaged."""
        found = self._database.row(sql.GET_CIRCUIT, {"digest": unhexlify(digest)})
        if found is None:
            raise StoreError(
                f"expected the circuit {digest} in the store, got none of that digest; is it another store?"
            )
        circuit = circuit_from_json(json.loads(zlib.decompress(found[0])))
        if circuit.digest != digest:
            raise StoreError(f"expected the circuit {digest}, got one of digest {circuit.digest}; the store is damaged")
        return circuit

    def origin(self, circuit: Circuit, domain: Domain) -> int:
        """The number of this structure in this domain, made where there is none."""
        values = {"circuit": unhexlify(circuit.digest), "domain": domain.text}
        found = self._database.row(sql.GET_ORIGIN, values)
        if found is None:
            with self._database.write():
                self.put(circuit)
                self._database.run(sql.ADD_ORIGIN, values)
                found = self._database.rows(sql.GET_ORIGIN, values)[0]
        return int(found[0])
