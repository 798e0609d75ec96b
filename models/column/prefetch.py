"""Ask the processor to fetch memory that a compiled kernel reads a little later."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def prefetch_row(typing_context, array, row):
    """Start to fetch the beginning of a row of a 2-D array into the cache; changes no result.

    A load would do the same, but a processor runs only a few hundred instructions past a load that it waits for.
    """

    def generate(context, builder, signature, arguments):
        array, row = arguments
        view = context.make_array(signature.args[0])(context, builder, array)
        first = ir.Constant(row.type, 0)
        address = cgutils.get_item_pointer(context, builder, signature.args[0], view, [row, first], wraparound=False)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch_type = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, prefetch_type, "llvm.prefetch.p0i8")
        read, keep, data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(prefetch, [builder.bitcast(address, byte), read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate
