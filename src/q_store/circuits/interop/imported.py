"""What the importers return, and the check that an extra is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.errors import CapabilityError


@dataclass(frozen=True, eq=False)
class Imported:
    """A circuit of another library, and what its symbols were called there.

    Attributes:
        circuit: the circuit.
        parameters: P names; parameters[i] is theta_i.
        features: D names; features[j] is x_j.
        values: [P], the numbers that stood for theta in the source; NaN where it had none.
    """

    circuit: Circuit
    parameters: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    values: npt.NDArray[np.float64] | None = None


def require(extra: str, *modules: str) -> None:
    """Check that the modules of an extra can be imported.

    Raises:
        CapabilityError: with the command that installs the extra.
    """
    for module in modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise CapabilityError(
                f"expected the package {module!r} for this, got: {error}; install it: pip install 'q-store[{extra}]'"
            ) from None
