// The B-splines that are not zero at given inputs, with their slopes.
//
// Compiled for one floating-point type (SCALAR) and one number of functions that are not zero
// between two knots (ACTIVE = degree + 1).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

using Scalar = SCALAR;
constexpr int DEGREE = ACTIVE - 1;
constexpr int TILE = 128;  // rows

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif
typedef Scalar Vector __attribute__((vector_size(VECTOR_BYTES)));
constexpr int LANES = VECTOR_BYTES / sizeof(Scalar);

enum Extrapolation { LINEAR = 0, CONSTANT = 1, PERIODIC = 2 };

inline Vector load(const Scalar* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

inline void store(Scalar* to, Vector v) { std::memcpy(to, &v, sizeof v); }

// Sum of the lanes, by halves.
template <int BYTES = VECTOR_BYTES>
inline Scalar sum(const void* lanes) {
    if constexpr (BYTES == sizeof(Scalar)) {
        return *static_cast<const Scalar*>(lanes);
    } else {
        typedef Scalar Half __attribute__((vector_size(BYTES / 2)));
        Half low, high;
        std::memcpy(&low, lanes, BYTES / 2);
        std::memcpy(&high, static_cast<const char*>(lanes) + BYTES / 2, BYTES / 2);
        low += high;
        return sum<BYTES / 2>(&low);
    }
}

// Memory that is aligned to cache lines; throws std::bad_alloc.
template <typename T>
class Buffer {
public:
    explicit Buffer(int64_t count) : data_(nullptr) {
        const std::size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
        data_ = static_cast<T*>(std::aligned_alloc(64, bytes ? bytes : 64));
        if (!data_) throw std::bad_alloc();
    }
    ~Buffer() { std::free(data_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    T* get() const { return data_; }

private:
    T* data_;
};

struct Problem {
    const Scalar *x, *coefficients, *mask, *knots, *lower, *upper, *bias;  // bias may be null
    int64_t rows, inputs, outputs, parameters, intervals;
    int32_t extrapolate, missing, threads;
};

// The functions that are not zero at the values of one input in one tile.
struct Active {
    int32_t first[TILE];  // index of the first of them
    Scalar value[ACTIVE][TILE];
    Scalar slope[ACTIVE][TILE];  // by x
};

// Knots, and reciprocal distances of knots, of every input.
class Grid {
public:
    explicit Grid(const Problem& p)
        : count_(p.intervals + 2 * DEGREE + 1),
          knots_(p.inputs * count_),
          inverse_(p.inputs * DEGREE * count_),
          uniform_(p.inputs) {
        for (int64_t i = 0; i < p.inputs; ++i) {
            Scalar* knot = knots_.get() + i * count_;
            for (int64_t q = 0; q < count_; ++q) knot[q] = p.knots[q * p.inputs + i];
            const Scalar step = Scalar(2) / p.intervals;
            bool even = true;
            for (int64_t q = 0; q < count_; ++q)
                even &= std::abs(knot[q] - (step * (q - DEGREE) - 1)) < 4 * epsilon() * count_;
            uniform_.get()[i] = even;
            for (int span = 1; span <= DEGREE; ++span)
                for (int64_t q = 0; q + span < count_; ++q)
                    inverse(i, span)[q] = 1 / (knot[q + span] - knot[q]);
        }
    }
    const Scalar* knots(int64_t input) const { return knots_.get() + input * count_; }
    Scalar* inverse(int64_t input, int span) const {
        return inverse_.get() + (input * DEGREE + span - 1) * count_;
    }
    bool uniform(int64_t input) const { return uniform_.get()[input]; }

private:
    static constexpr Scalar epsilon() { return sizeof(Scalar) == 4 ? 1.2e-7 : 2.3e-16; }
    int64_t count_;
    Buffer<Scalar> knots_, inverse_;
    Buffer<bool> uniform_;
};

// Entries place[0] .. place[LANES - 1] of a table.
inline Vector gather(const Scalar* table, const int32_t* place) {
    Scalar found[LANES];
    for (int lane = 0; lane < LANES; ++lane) found[lane] = table[place[lane]];
    return load(found);
}

// Cubic functions on even knots, with the slope by the normalised input, where `u` is the place in
// the interval: the recursion written out takes a third of its operations.
inline void cubic(Vector u, Scalar rate, Vector* value, Vector* slope) {
    const Vector w = 1 - u, left = w * w, right = u * u;
    value[0] = left * w * (Scalar(1) / 6);
    value[1] = right * (u * Scalar(0.5) - 1) + Scalar(2) / 3;
    value[2] = left * (w * Scalar(0.5) - 1) + Scalar(2) / 3;
    value[3] = right * u * (Scalar(1) / 6);
    slope[0] = left * (Scalar(-0.5) * rate);
    slope[1] = u * (u * Scalar(1.5) - 2) * rate;
    slope[2] = w * (2 - w * Scalar(1.5)) * rate;
    slope[3] = right * (Scalar(0.5) * rate);
}

// Cox-de Boor on the functions that are not zero, with the slope by the normalised input. The
// values lie `inside` the domain, in the intervals `place`.
template <bool EVEN>
inline void recursion(const Problem& p, const Grid& grid, int64_t input, const Scalar* inside,
                      const int32_t* place, Vector* value, Vector* slope) {
    const Scalar rate = Scalar(p.intervals) / 2;  // intervals per unit of the normalised input
    const Vector t = load(inside);
    Vector offset = {};  // from the start of the interval, in intervals
    if (EVEN) {
        for (int lane = 0; lane < LANES; ++lane) offset[lane] = place[lane];
        offset = (t + 1) * rate - offset;
        if constexpr (DEGREE == 3) return cubic(offset, rate, value, slope);
    }
    for (int a = 0; a < ACTIVE; ++a) value[a] = slope[a] = Vector{};
    value[0] += 1;
#pragma GCC unroll 8
    for (int k = 1; k <= DEGREE; ++k)
#pragma GCC unroll 8
        for (int a = k - 1; a >= 0; --a) {  // a function of degree k - 1 feeds two of degree k
            Vector share, rise, fall, steep;
            if (EVEN) {
                share = value[a] * (Scalar(1) / k);
                rise = offset + Scalar(k - 1 - a);
                fall = Scalar(k) - rise;
                steep = value[a] * rate;
            } else {
                const int first = DEGREE - k + 1 + a;  // where its support starts
                const Scalar* knot = grid.knots(input) + first;
                share = value[a] * gather(grid.inverse(input, k) + first, place);
                rise = t - gather(knot, place);
                fall = gather(knot + k, place) - t;
                steep = share * Scalar(k);
            }
            if (k == DEGREE) {
                slope[a + 1] += steep;
                slope[a] -= steep;
            }
            value[a + 1] += share * rise;
            value[a] = share * fall;
        }
}

// Interval of every value: closed on the left, the last one on both sides.
void find_places(const Problem& p, const Grid& grid, int64_t input, const Scalar* inside,
                 int32_t* place) {
    const Scalar* knot = grid.knots(input) + DEGREE;
    const int32_t last = p.intervals - 1;
    if (!grid.uniform(input)) {
        std::fill_n(place, TILE, 0);
        for (int32_t q = 1; q <= last; ++q)
            for (int r = 0; r < TILE; ++r) place[r] += inside[r] >= knot[q];
        return;
    }
    const Scalar rate = Scalar(p.intervals) / 2, top = last;
    for (int r = 0; r < TILE; ++r) {
        const Scalar u = (inside[r] + 1) * rate;
        place[r] = u > 0 ? (u < top ? int32_t(u) : last) : 0;
    }
    if (DEGREE > 1) return;  // at a knot either side gives the same
    for (int r = 0; r < TILE; ++r) {
        place[r] += place[r] < last && inside[r] >= knot[place[r] + 1];
        place[r] -= place[r] > 0 && inside[r] < knot[place[r]];
    }
}

// Evaluate the functions at `count` rows of one input; the rest of the tile repeats the last row.
void evaluate(const Problem& p, const Grid& grid, int64_t row, int count, int64_t input,
              Active& active) {
    Scalar x[TILE], inside[TILE], beyond[TILE];
    const int64_t inputs = p.inputs, extrapolate = p.extrapolate;
    const bool missing = p.missing, even = grid.uniform(input);
    const Scalar lower = p.lower[input], upper = p.upper[input], middle = (lower + upper) / 2;
    const Scalar both = upper + lower, span = upper - lower;
    const Scalar* from = p.x + row * inputs + input;
    for (int r = 0; r < count; ++r) x[r] = from[r * inputs];
    for (int r = count; r < TILE; ++r) x[r] = x[count - 1];
    for (int r = 0; r < TILE; ++r) {
        const Scalar filled = missing && x[r] != x[r] ? middle : x[r];
        const Scalar t = (2 * filled - both) / span;
        inside[r] = extrapolate == PERIODIC ? t - 2 * std::floor((t + 1) / 2)
                                            : (t < -1 ? Scalar(-1) : (t > 1 ? Scalar(1) : t));
        beyond[r] = t - inside[r];
    }
    find_places(p, grid, input, inside, active.first);
    for (int r = 0; r < TILE; r += LANES) {
        Vector value[ACTIVE], slope[ACTIVE];
        if (even)
            recursion<true>(p, grid, input, inside + r, active.first + r, value, slope);
        else
            recursion<false>(p, grid, input, inside + r, active.first + r, value, slope);
        const Vector past = load(beyond + r);
        for (int a = 0; a < ACTIVE; ++a) {
            if (extrapolate == LINEAR) value[a] += past * slope[a];
            if (extrapolate == CONSTANT) slope[a] = past != 0 ? Vector{} : slope[a];
            store(active.value[a] + r, value[a]);
            store(active.slope[a] + r, slope[a] * (2 / span));
        }
    }
    if (!missing) return;
    for (int r = 0; r < TILE; ++r) {  // the last parameter is the value where the input is missing
        if (x[r] == x[r]) continue;
        active.first[r] = p.parameters - ACTIVE;
        for (int a = 0; a < ACTIVE; ++a) {
            active.value[a][r] = a == DEGREE;
            active.slope[a][r] = 0;
        }
    }
}

// Call work(row, count, thread) for every tile of rows; the tiles of a thread are contiguous.
template <typename Work>
void for_tiles(const Problem& p, Work work) {
    const int64_t tiles = (p.rows + TILE - 1) / TILE;
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(p.threads) if (p.threads > 1)
#endif
    for (int32_t thread = 0; thread < p.threads; ++thread)
        for (int64_t n = tiles * thread / p.threads; n < tiles * (thread + 1) / p.threads; ++n)
            work(n * TILE, static_cast<int>(std::min<int64_t>(TILE, p.rows - n * TILE)), thread);
}

}  // namespace
