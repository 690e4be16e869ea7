// Sums of B-spline curves with one output: there is nothing to share between outputs, so the rows
// of a tile take the place of the outputs.
#pragma once

#include <numeric>

#include "spline_functions.hpp"

namespace {

constexpr int COPIES = 4;  // of a gradient, so that a row need not wait for the one before
constexpr int FEW = 8;  // intervals that are cheaper looked through one by one

// Coefficients under the mask, (inputs, parameters).
void pack_single(const Problem& p, Scalar* packed) {
    for (int64_t g = 0; g < p.parameters; ++g)
        for (int64_t i = 0; i < p.inputs; ++i)
            packed[i * p.parameters + g] = p.coefficients[g * p.inputs + i] * p.mask[i];
}

// Add the curve of one input, or its slope, at the rows of a tile.
void add_curve(const Scalar (&functions)[ACTIVE][TILE], const int32_t* first, int64_t places,
               const Scalar* coefficients, Scalar* sums) {
    if (places > FEW) {
        for (int r = 0; r < TILE; ++r) {
            const Scalar* c = coefficients + first[r];
            for (int a = 0; a < ACTIVE; ++a) sums[r] += functions[a][r] * c[a];
        }
        return;
    }
    for (int32_t q = 0; q < places; ++q)
        for (int r = 0; r < TILE; ++r) {
            Scalar total = functions[0][r] * coefficients[q];
#pragma GCC unroll 8
            for (int a = 1; a < ACTIVE; ++a) total += functions[a][r] * coefficients[q + a];
            sums[r] += first[r] == q ? total : Scalar(0);
        }
}

// Add functions times upstream to the gradient of one input, interval by interval.
void add_by_interval(const Active& functions, const Scalar (&upstream)[TILE], int64_t places,
                     Scalar* gradient) {
    for (int32_t q = 0; q < places; ++q) {
        Scalar own[TILE];
        for (int r = 0; r < TILE; ++r) own[r] = functions.first[r] == q ? upstream[r] : Scalar(0);
        Vector total[ACTIVE];
#pragma GCC unroll 8
        for (int a = 0; a < ACTIVE; ++a) total[a] = Vector{};
        for (int r = 0; r < TILE; r += LANES)
#pragma GCC unroll 8
            for (int a = 0; a < ACTIVE; ++a) total[a] += load(own + r) * load(functions.value[a] + r);
#pragma GCC unroll 8
        for (int a = 0; a < ACTIVE; ++a) gradient[q + a] += sum(&total[a]);
    }
}

void forward_single(const Problem& p, Scalar* y) {
    const Grid grid(p);
    const int64_t places = p.parameters - ACTIVE + 1;
    Buffer<Scalar> packed(p.inputs * p.parameters);
    Buffer<Active> active(p.threads);
    pack_single(p, packed.get());
    for_tiles(p, [&](int64_t row, int count, int32_t thread) {
        Active& functions = active.get()[thread];
        Scalar sums[TILE];
        std::fill_n(sums, TILE, p.bias ? *p.bias : Scalar(0));
        for (int64_t i = 0; i < p.inputs; ++i) {
            const Scalar* c = packed.get() + i * p.parameters;
            evaluate(p, grid, row, count, i, functions);
            add_curve(functions.value, functions.first, places, c, sums);
        }
        std::copy_n(sums, count, y + row);
    });
}

// Derivatives may be left out by null pointers.
void backward_single(const Problem& p, const Scalar* upstream, Scalar* by_x,
                     Scalar* by_coefficients, Scalar* by_bias) {
    if (by_bias) *by_bias = std::accumulate(upstream, upstream + p.rows, 0.0);
    if (!by_x && !by_coefficients) return;
    const Grid grid(p);
    const int64_t size = p.inputs * p.parameters, copies = by_coefficients ? p.threads * COPIES : 0;
    const int64_t places = p.parameters - ACTIVE + 1;
    Buffer<Scalar> packed(size), partial(copies * size);
    Buffer<Active> active(p.threads);
    pack_single(p, packed.get());
    std::fill_n(partial.get(), copies * size, Scalar(0));
    for_tiles(p, [&](int64_t row, int count, int32_t thread) {
        Active& functions = active.get()[thread];
        Scalar u[TILE] = {};
        std::copy_n(upstream + row, count, u);
        for (int64_t i = 0; i < p.inputs; ++i) {
            evaluate(p, grid, row, count, i, functions);
            if (by_x) {
                const Scalar* c = packed.get() + i * p.parameters;
                Scalar slopes[TILE] = {};
                add_curve(functions.slope, functions.first, places, c, slopes);
                for (int r = 0; r < count; ++r) by_x[(row + r) * p.inputs + i] = u[r] * slopes[r];
            }
            if (!by_coefficients) continue;
            Scalar* own = partial.get() + thread * COPIES * size + i * p.parameters;
            if (places <= FEW) {
                add_by_interval(functions, u, places, own);
                continue;
            }
            for (int r = 0; r < count; ++r) {
                Scalar* to = own + r % COPIES * size + functions.first[r];
                for (int a = 0; a < ACTIVE; ++a) to[a] += functions.value[a][r] * u[r];
            }
        }
    });
    if (!by_coefficients) return;
    for (int64_t i = 0; i < p.inputs; ++i)
        for (int64_t g = 0; g < p.parameters; ++g) {
            Scalar total = 0;
            for (int64_t copy = 0; copy < copies; ++copy)
                total += partial.get()[copy * size + i * p.parameters + g];
            by_coefficients[g * p.inputs + i] = total * p.mask[i];
        }
}

}  // namespace
