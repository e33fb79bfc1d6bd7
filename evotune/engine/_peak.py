"""How fast the devices multiply matrices: what achieved speeds are compared with."""

from __future__ import annotations

import functools
import time

import jax
import jax.numpy as jnp

from evotune.engine._devices import AXIS, MEMBERS, local_mesh, sharded

_CPU_SIZE, _SIZE = 1024, 4096
_REPEATS = 3


@functools.cache
def peak_flops() -> float:
    """FLOP/s of all devices of this process, each in a large float32 matrix product.

    Measured at the first call, which takes a fraction of a second: the best of three
    products. Accelerators multiply float32 with the precision that JAX is set to.
    """
    mesh = local_mesh()
    size = _CPU_SIZE if mesh.devices.flat[0].platform == "cpu" else _SIZE
    square = jnp.ones((mesh.size, size, size), jnp.float32)
    squares = jax.device_put(square, sharded(mesh, MEMBERS))
    product = jax.jit(
        jax.shard_map(
            lambda a: jnp.matmul(a, a),
            mesh=mesh,
            in_specs=MEMBERS,
            out_specs=MEMBERS,
            axis_names={AXIS},
        )
    )
    jax.block_until_ready(product(squares))
    fastest = min(_seconds(product, squares) for _ in range(_REPEATS))
    return 2.0 * mesh.size * size**3 / fastest


def _seconds(function: jax.stages.Wrapped, array: jax.Array) -> float:
    began = time.perf_counter()
    jax.block_until_ready(function(array))
    return time.perf_counter() - began
