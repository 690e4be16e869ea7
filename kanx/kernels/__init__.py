"""Fused operators for sums of curves; `kanx.layers` chooses them by itself.

They give what the plain tensor code of the layers gives, without a tensor of the size of the
basis:

=================  =============================================================================
`blocked`         any family that is linear in its coefficients, in plain PyTorch: blocks of
                  rows, the basis recomputed in the backward pass
`spline`          B-splines and piecewise linear curves on a CPU, by a small C++ kernel that
                  touches only the coefficients whose functions are not zero; see `compiler`
`products`        sums over rows of products of pairs, which Gauss-Newton matrices are made of, by
                  a C++ kernel that multiplies the pairs where a matrix product packs its panels
`device`          orthogonal polynomials, splines on even grids, Gaussian bumps and waves on a
                  GPU, by Triton kernels that keep the basis in registers (`fused`, `tiles`);
                  Padé edges with shared poles too (`rational`, `rational_tiles`)
`rational_device` Padé edges with poles of their own on a GPU
`network_device`  whole small networks on a GPU, many of one shape at a time (`network`,
                  `network_tiles`; `network_plain` is the same in plain tensor code)
=================  =============================================================================

The environment variable ``KANX_KERNELS=off`` keeps anything from being compiled. The Triton kernels
are chosen by themselves on a GPU where triton is installed. They have not yet run on one (their
tests use Triton's interpreter): each is compared with plain tensor code before its first use, see
`verified`. ``KANX_TRITON=off`` switches them off, ``autotune`` measures tiles, see `tuning`.
"""
