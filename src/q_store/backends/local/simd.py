"""Short vectors for Numba: 16 numbers that LLVM keeps in registers.

Sixteen samples sit side by side in every vector, so each amplitude of a block of samples is one load, one operation
and one store (AVX-512), or two or four of them (AVX2, NEON); LLVM splits the vectors as the machine needs.
Multiplications and additions carry the `contract` flag, so that they become fused multiply-adds; nothing is
reassociated, and results do not depend on the machine's width.

    a = load(array, i)      # array: 1-D, contiguous, float32 or float64; i: position in vectors
    store(array, i, a * b + a)
    splat(array, s)         # sixteen times the scalar s, in the array's type
    lane_sum(a)             # sum of the lanes, in fixed order
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic, models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

LANES = 16


class VectorType(types.Type):
    """Sixteen floats."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector16({dtype})")


def _llvm_type(dtype: Any) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType(), LANES)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: VectorType) -> None:
        super().__init__(dmm, fe_type, _llvm_type(fe_type.dtype))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    offset = builder.mul(index, ir.Constant(index.type, LANES))
    place = builder.gep(data, [offset])
    return builder.bitcast(place, _llvm_type(array_type.dtype).as_pointer())


def _load(_typing: Any, array: Any, index: Any) -> Any:
    """array[16 i : 16 i + 16] as a vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        position = context.cast(builder, args[1], sig.args[1], types.intp)
        return builder.load(
            _pointer(context, builder, sig.args[0], args[0], position), align=sig.args[0].dtype.bitwidth // 8
        )

    return VectorType(array.dtype)(array, index), generate


def _store(_typing: Any, array: Any, index: Any, vector: Any) -> Any:
    """array[16 i : 16 i + 16] = vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        position = context.cast(builder, args[1], sig.args[1], types.intp)
        place = _pointer(context, builder, sig.args[0], args[0], position)
        builder.store(args[2], place, align=sig.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, vector), generate


def _splat(_typing: Any, array: Any, scalar: Any) -> Any:
    """Sixteen times a scalar, in the array's type."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.cast(builder, args[1], sig.args[1], sig.args[0].dtype)
        vector = ir.Constant(_llvm_type(sig.args[0].dtype), ir.Undefined)
        first = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, vector, mask)

    return VectorType(array.dtype)(array, scalar), generate


def _lane_sum(_typing: Any, vector: Any) -> Any:
    """Sum of the sixteen lanes, by halves."""

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            kind = ir.VectorType(ir.IntType(32), width)
            low = builder.shuffle_vector(value, value, ir.Constant(kind, list(range(width))))
            high = builder.shuffle_vector(value, value, ir.Constant(kind, list(range(width, 2 * width))))
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return vector.dtype(vector), generate


# Numba reads their signatures without the typing context; a type checker would not.
load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
splat: Any = intrinsic(_splat)
lane_sum: Any = intrinsic(_lane_sum)


def _operation(op: Callable[..., Any], method: str) -> None:
    @infer_global(op)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            if not kws and len(args) == 2 and all(isinstance(a, VectorType) for a in args) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(op, VectorType, VectorType)
    def _lower(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return getattr(builder, method)(args[0], args[1], flags=("contract", "nsz"))


_operation(operator.add, "fadd")
_operation(operator.sub, "fsub")
_operation(operator.mul, "fmul")
