// Sums of B-spline curves over the inputs of a layer, with their derivatives.
//
// Only the functions that are not zero are touched: nothing of the size of the basis is formed.
// Rows are handled in tiles; the functions are evaluated for a few inputs of a tile at a time and
// stay in the first-level cache.
#include <type_traits>

#include "spline_single.hpp"

namespace {

constexpr int CHUNK = 8;  // vectors of outputs that are summed together
constexpr int CACHE_BYTES = 16384;  // coefficients in use at a time: half a first-level cache

int64_t padded(int64_t outputs) { return (outputs + LANES - 1) / LANES * LANES; }

// Inputs whose coefficients are used together: those that fit in the cache.
int64_t group_size(const Problem& p) {
    const int64_t bytes = p.parameters * padded(p.outputs) * sizeof(Scalar);
    return std::max<int64_t>(1, std::min<int64_t>(8, CACHE_BYTES / bytes));
}

// Call chunk.template operator()<WIDTH>(first output) until all padded outputs are covered.
template <int WIDTH, typename Chunk>
void for_chunks(int64_t width, int64_t first, Chunk chunk) {
    for (; first + WIDTH * LANES <= width; first += WIDTH * LANES)
        chunk(std::integral_constant<int, WIDTH>(), first);
    if constexpr (WIDTH > 1)
        if (first < width) for_chunks<WIDTH / 2>(width, first, chunk);
}

// Coefficients under the mask, (inputs, chunks, parameters, outputs of the chunk): the distance of
// two parameters is known to the compiler.
void pack(const Problem& p, Scalar* packed) {
    const int64_t width = padded(p.outputs);
    for (int64_t i = 0; i < p.inputs; ++i)
        for_chunks<CHUNK>(width, 0, [&](auto size, int64_t first) {
            constexpr int64_t many = decltype(size)::value * LANES;
            const Scalar* mask = p.mask + i * p.outputs;
            Scalar* to = packed + (i * width + first) * p.parameters;
            for (int64_t g = 0; g < p.parameters; ++g, to += many) {
                const Scalar* from = p.coefficients + (g * p.inputs + i) * p.outputs;
                const int64_t living = std::min(many, p.outputs - first);
                for (int64_t o = 0; o < living; ++o) to[o] = from[first + o] * mask[first + o];
                std::fill(to + living, to + many, Scalar(0));
            }
        });
}

// sums[r, chunk] += functions of a group of inputs times their coefficients.
template <int WIDTH>
void add_group(const Active* active, int64_t group, int count, const Scalar* packed,
               int64_t stride, int64_t width, Scalar* sums) {
    for (int r = 0; r < count; ++r) {
        Vector total[WIDTH];
        for (int v = 0; v < WIDTH; ++v) total[v] = load(sums + r * width + v * LANES);
        for (int64_t g = 0; g < group; ++g) {
            const Scalar* c = packed + g * stride + active[g].first[r] * (WIDTH * LANES);
            for (int a = 0; a < ACTIVE; ++a) {
                const Scalar weight = active[g].value[a][r];
                for (int v = 0; v < WIDTH; ++v)
                    total[v] += weight * load(c + (a * WIDTH + v) * LANES);
            }
        }
        for (int v = 0; v < WIDTH; ++v) store(sums + r * width + v * LANES, total[v]);
    }
}

// Copy columns of rows; few columns one by one, since a call of memcpy takes longer than they do.
void copy_rows(const Scalar* from, int64_t from_width, Scalar* to, int64_t to_width, int count,
               int64_t columns) {
    if (columns < LANES)
        for (int64_t o = 0; o < columns; ++o)
            for (int r = 0; r < count; ++r) to[r * to_width + o] = from[r * from_width + o];
    else
        for (int r = 0; r < count; ++r)
            std::copy_n(from + r * from_width, columns, to + r * to_width);
}

void forward(const Problem& p, Scalar* y) {
    const Grid grid(p);
    const int64_t width = padded(p.outputs), stride = p.parameters * width, many = group_size(p);
    Buffer<Scalar> packed(p.inputs * stride), sums(p.threads * TILE * width), bias(width);
    Buffer<Active> active(p.threads * many);
    pack(p, packed.get());
    std::fill_n(bias.get(), width, Scalar(0));
    if (p.bias) std::copy_n(p.bias, p.outputs, bias.get());
    for_tiles(p, [&](int64_t row, int count, int32_t thread) {
        Scalar* own = sums.get() + thread * TILE * width;
        Active* functions = active.get() + thread * many;
        for (int64_t o = 0; o < width; o += LANES)
            for (int r = 0; r < count; ++r) store(own + r * width + o, load(bias.get() + o));
        for (int64_t i = 0; i < p.inputs; i += many) {
            const int64_t group = std::min(many, p.inputs - i);
            for (int64_t g = 0; g < group; ++g)
                evaluate(p, grid, row, count, i + g, functions[g]);
            for_chunks<CHUNK>(width, 0, [&](auto size, int64_t first) {
                add_group<decltype(size)::value>(functions, group, count,
                                                 packed.get() + i * stride + first * p.parameters,
                                                 stride, width, own + first);
            });
        }
        copy_rows(own, width, y + row * p.outputs, p.outputs, count, p.outputs);
    });
}

// to[r] += derivative by x of one input: upstream times slopes times coefficients of a chunk.
template <int WIDTH>
void pull_back(const Active& active, int count, const Scalar* packed, const Scalar* upstream,
               int64_t width, Scalar* to) {
    for (int r = 0; r < count; ++r) {
        const Scalar* c = packed + active.first[r] * (WIDTH * LANES);
        const Scalar* u = upstream + r * width;
        Vector total = {};
        for (int v = 0; v < WIDTH; ++v) {
            Vector slope = active.slope[0][r] * load(c + v * LANES);
            for (int a = 1; a < ACTIVE; ++a)
                slope += active.slope[a][r] * load(c + (a * WIDTH + v) * LANES);
            total += slope * load(u + v * LANES);
        }
        to[r] += sum(&total);
    }
}

// Rows of a tile in the order of their intervals: those of interval q are order[start[q]] to
// order[start[q + 1]].
void sort_rows(const Active& active, int count, int64_t places, int32_t* start, int32_t* order) {
    std::fill_n(start, places + 1, 0);
    for (int r = 0; r < count; ++r) ++start[active.first[r] + 1];
    for (int64_t q = 0; q < places; ++q) start[q + 1] += start[q];
    for (int r = 0; r < count; ++r) order[start[active.first[r]]++] = r;
    for (int64_t q = places; q > 0; --q) start[q] = start[q - 1];
    start[0] = 0;
}

// gradient[a, chunk] += sum over the rows of one interval of functions times upstream.
template <int WIDTH>
void add_gradient(const Active& active, const int32_t* order, int32_t start, int32_t stop,
                  const Scalar* upstream, int64_t width, Scalar* gradient) {
    Vector total[ACTIVE][WIDTH];
    for (int a = 0; a < ACTIVE; ++a)
        for (int v = 0; v < WIDTH; ++v) total[a][v] = load(gradient + a * width + v * LANES);
    for (int32_t n = start; n < stop; ++n) {
        const int32_t r = order[n];
        Vector u[WIDTH];
        for (int v = 0; v < WIDTH; ++v) u[v] = load(upstream + r * width + v * LANES);
        for (int a = 0; a < ACTIVE; ++a)
            for (int v = 0; v < WIDTH; ++v) total[a][v] += active.value[a][r] * u[v];
    }
    for (int a = 0; a < ACTIVE; ++a)
        for (int v = 0; v < WIDTH; ++v) store(gradient + a * width + v * LANES, total[a][v]);
}

void sum_rows(const Problem& p, const Scalar* upstream, Scalar* sums) {
    Buffer<Scalar> part(p.outputs);
    std::fill_n(sums, p.outputs, Scalar(0));
    for (int64_t row = 0; row < p.rows; row += TILE) {  // tile by tile, which rounds less
        std::fill_n(part.get(), p.outputs, Scalar(0));
        for (int64_t r = row; r < std::min(row + TILE, p.rows); ++r)
            for (int64_t o = 0; o < p.outputs; ++o) part.get()[o] += upstream[r * p.outputs + o];
        for (int64_t o = 0; o < p.outputs; ++o) sums[o] += part.get()[o];
    }
}

// Derivatives may be left out by null pointers.
void backward(const Problem& p, const Scalar* upstream, Scalar* by_x, Scalar* by_coefficients,
              Scalar* by_bias) {
    if (by_bias) sum_rows(p, upstream, by_bias);
    if (!by_x && !by_coefficients) return;
    // vectors of outputs whose totals fit in registers
    constexpr int TOTALS = ACTIVE <= 3 ? 4 : ACTIVE <= 6 ? 2 : 1;
    const Grid grid(p);
    const int64_t width = padded(p.outputs), stride = p.parameters * width, many = group_size(p);
    const int64_t places = p.parameters - ACTIVE + 1;
    Buffer<Scalar> packed(p.inputs * stride), tile(p.threads * TILE * width);
    Buffer<Scalar> partial(by_coefficients ? p.threads * p.inputs * stride : 0);
    Buffer<int32_t> starts(p.threads * (places + 1));
    Buffer<Active> active(p.threads * many);
    pack(p, packed.get());
    std::fill_n(tile.get(), p.threads * TILE * width, Scalar(0));
    if (by_coefficients) std::fill_n(partial.get(), p.threads * p.inputs * stride, Scalar(0));
    for_tiles(p, [&](int64_t row, int count, int32_t thread) {
        Scalar* own = tile.get() + thread * TILE * width;
        Active* functions = active.get() + thread * many;
        int32_t order[TILE], *start = starts.get() + thread * (places + 1);
        copy_rows(upstream + row * p.outputs, p.outputs, own, width, count, p.outputs);
        for (int64_t i = 0; i < p.inputs; ++i) {
            evaluate(p, grid, row, count, i, *functions);
            if (by_x) {
                Scalar slopes[TILE] = {};
                for_chunks<CHUNK>(width, 0, [&](auto size, int64_t first) {
                    pull_back<decltype(size)::value>(
                        *functions, count, packed.get() + i * stride + first * p.parameters,
                        own + first, width, slopes);
                });
                for (int r = 0; r < count; ++r) by_x[(row + r) * p.inputs + i] = slopes[r];
            }
            if (!by_coefficients) continue;
            sort_rows(*functions, count, places, start, order);
            Scalar* gradient = partial.get() + (thread * p.inputs + i) * stride;
            for_chunks<TOTALS>(width, 0, [&](auto size, int64_t first) {
                for (int64_t q = 0; q < places; ++q)
                    if (start[q] < start[q + 1])
                        add_gradient<decltype(size)::value>(*functions, order, start[q],
                                                            start[q + 1], own + first, width,
                                                            gradient + q * width + first);
            });
        }
    });
    if (!by_coefficients) return;
    for (int64_t i = 0; i < p.inputs; ++i)
        for (int64_t g = 0; g < p.parameters; ++g) {
            Scalar* to = by_coefficients + (g * p.inputs + i) * p.outputs;
            for (int64_t o = 0; o < p.outputs; ++o) {
                Scalar total = 0;
                for (int32_t thread = 0; thread < p.threads; ++thread)
                    total += partial.get()[((thread * p.inputs + i) * p.parameters + g) * width + o];
                to[o] = total * p.mask[i * p.outputs + o];
            }
        }
}

}  // namespace

// Both return 0, or 1 where memory ran out.
extern "C" int spline_forward(const Problem* problem, Scalar* y) {
    try {
        problem->outputs == 1 ? forward_single(*problem, y) : forward(*problem, y);
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

extern "C" int spline_backward(const Problem* problem, const Scalar* upstream, Scalar* by_x,
                               Scalar* by_coefficients, Scalar* by_bias) {
    try {
        const auto run = problem->outputs == 1 ? backward_single : backward;
        run(*problem, upstream, by_x, by_coefficients, by_bias);
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}
