"""Memory asked for before it is needed, so that a loop does not wait for each place it looks at."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from numba import types
from numba.extending import intrinsic

__all__ = ["prefetch"]

_ir: Any = import_module("llvmlite.ir")
_cgutils: Any = import_module("numba.core.cgutils")


def _prefetching(_: Any, array: Any, row: Any) -> Any:  # noqa: ARG001 - numba reads the names
    """Ask for the cache line where a row of an array begins, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = [arguments[1], *[_ir.Constant(_ir.IntType(64), 0)] * (signature.args[0].ndim - 1)]
        pointer = _cgutils.get_item_pointer(context, builder, signature.args[0], held, place, False, False)
        byte, flag = _ir.IntType(8).as_pointer(), _ir.IntType(32)
        kind = _ir.FunctionType(_ir.VoidType(), [byte, flag, flag, flag])
        function = _cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.bitcast(pointer, byte), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Any = intrinsic(_prefetching)
