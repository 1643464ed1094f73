"""Qiskit's parameters as theta and x, and its expressions as angles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from q_store.circuits.angle import Angle, theta, x
from q_store.errors import CircuitError, suggestion


class Symbols:
    """Which Qiskit parameter is which theta_i or x_j.

    Attributes:
        parameters: names in order of theta.
        features: names in order of x.
    """

    def __init__(self, present: Iterable[Any], features: Any = (), parameters: Any = ()) -> None:
        """Sort the parameters of a circuit.

        Args:
            present: parameters in Qiskit's order (by name, vectors by index); a vector counts with all its elements.
            features: what is data, in the order of the columns: names, `Parameter` or `ParameterVector` objects. A name
                stands for the parameter or the vector of that name, or else for `name_0`, `name_1`, ...
            parameters: in the same way what is theta, in its order; the others follow in Qiskit's order.

        Raises:
            CircuitError: for a name that the circuit does not have.
        """
        names = list(dict.fromkeys(name for parameter in present for name in _siblings(parameter)))
        self.features: tuple[str, ...] = _chosen(features, names)
        ordered = dict.fromkeys([*_chosen(parameters, names), *names])
        self.parameters: tuple[str, ...] = tuple(name for name in ordered if name not in self.features)
        self._angles = {name: theta(i) for i, name in enumerate(self.parameters)}
        self._angles |= {name: x(j) for j, name in enumerate(self.features)}

    def angle(self, expression: Any) -> Angle:
        """A number or `ParameterExpression` as an angle.

        With constant second derivatives, f is f(0) + sum_i p_i df/dp_i(0) + sum_{i<j} p_i p_j d2f/dp_i dp_j.

        Raises:
            CircuitError: unless it is linear in the monomials 1, theta_i, x_j and theta_i x_j.
        """
        free = sorted(getattr(expression, "parameters", ()), key=lambda p: str(p.name))
        try:
            out = Angle.of(_at_zero(expression))
            for k, first in enumerate(free):
                slope, symbol = expression.gradient(first), self._angles[first.name]
                out = out + symbol * _at_zero(slope)
                for second in free[k:]:
                    curvature = complex(slope.gradient(second) if hasattr(slope, "gradient") else 0.0).real
                    out = out + symbol * self._angles[second.name] * curvature if curvature else out
        except (CircuitError, _qiskit_error(), TypeError, ValueError, RuntimeError, ZeroDivisionError):
            # what Qiskit raises for a derivative that it lacks or for a number that still holds symbols
            raise CircuitError(
                f"expected an angle linear in 1, theta, x and theta*x, got {expression}, where theta is "
                f"{list(self.parameters)} and x is {list(self.features)}; list data in "
                "features=, give a nonlinear part a symbol of its own"
            ) from None
        return out


def _qiskit_error() -> type[Exception]:
    from qiskit.exceptions import QiskitError

    return QiskitError  # type: ignore[no-any-return]


def _at_zero(expression: Any) -> float:
    """The expression with all parameters 0."""
    free = getattr(expression, "parameters", ())
    return _real(expression.bind(dict.fromkeys(free, 0.0)) if free else expression)


def _real(expression: Any) -> float:
    value = complex(expression)
    if abs(value.imag) > 1e-12:
        raise CircuitError(f"expected a real angle, got {value}")
    return value.real


def _siblings(parameter: Any) -> list[str]:
    """The parameter's name, or those of all elements of its vector."""
    vector = getattr(parameter, "vector", None)
    return [parameter.name] if vector is None else [element.name for element in vector]


def _chosen(wanted: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The names that one or several names, parameters or vectors stand for; a vector, which can be walked, is one."""
    listed = [wanted] if isinstance(wanted, str) or hasattr(wanted, "name") else wanted
    return tuple(dict.fromkeys(name for each in listed for name in _matches(each, names)))


def _matches(wanted: Any, names: Sequence[str]) -> list[str]:
    if not isinstance(wanted, str):
        # a vector stands for all its elements, used or not
        return [element.name for element in wanted] if hasattr(wanted, "params") else [str(wanted.name)]
    if wanted in names:
        return [wanted]
    for pattern in (rf"{re.escape(wanted)}\[\d+\]", rf"{re.escape(wanted)}_\d+"):
        found = [name for name in names if re.fullmatch(pattern, name)]
        if found:
            return sorted(found, key=lambda name: int(re.findall(r"\d+", name)[-1]))
    raise CircuitError(f"expected a parameter of the circuit, got {wanted!r}{suggestion(wanted, names)}")
