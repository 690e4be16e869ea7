// Sums over rows of products of pairs of numbers of a row,
//
//     out[i, j] += sum_n  left[n, a_i] left[n, b_i] right[n, c_j] right[n, d_j].
//
// The blocking is that of a matrix product (Goto and van de Geijn: Anatomy of high-performance
// matrix multiplication, 2008); the pairs are multiplied where its panels are packed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, HEIGHT = 14;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, HEIGHT = 6;
#else
constexpr int VECTOR_BYTES = 16, HEIGHT = 6;
#endif
typedef double Vector __attribute__((vector_size(VECTOR_BYTES)));
constexpr int LANES = VECTOR_BYTES / sizeof(double);

// A tile of the sums, HEIGHT by WIDTH, stays in the registers; a strip of the right side and a
// panel of the left, which is short, in the first levels of the cache, so that the sums are read
// and written seldom. The right side should be the shorter one: it is read once a panel.
constexpr int ACROSS = 2, WIDTH = ACROSS * LANES;
constexpr int64_t DEPTH = 2304 / WIDTH, PANEL = 2 * HEIGHT;

class Buffer {
public:
    explicit Buffer(int64_t count)
        : data_(static_cast<double*>(std::aligned_alloc(64, (count * 8 + 63) / 64 * 64))) {
        if (!data_) throw std::bad_alloc();
    }
    ~Buffer() { std::free(data_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    double* get() const { return data_; }

private:
    double* data_;
};

struct Side {
    const double* table;  // (rows, stride)
    const int32_t *first, *second;  // columns that are multiplied
    int64_t stride, count;
};

struct Problem {
    Side left, right;
    double* out;
    int64_t rows, stride;
    int32_t upper, threads;  // upper: sums left of the diagonal may be left out
};

// Products of `many` pairs from `start` on in strips of SIZE pairs, (strips, depth, SIZE).
template <int SIZE>
void pack(const Side& side, int64_t start, int64_t many, int64_t row, int64_t depth, double* to) {
    for (int64_t own = 0; own < many; own += SIZE) {
        const int64_t count = std::min<int64_t>(SIZE, many - own);
        const int32_t *first = side.first + start + own, *second = side.second + start + own;
        const double* from = side.table + row * side.stride;
        for (int64_t k = 0; k < depth; ++k, from += side.stride, to += SIZE) {
            if (count == SIZE) {
                for (int64_t n = 0; n < SIZE; ++n) to[n] = from[first[n]] * from[second[n]];
            } else {
                for (int64_t n = 0; n < count; ++n) to[n] = from[first[n]] * from[second[n]];
                std::fill(to + count, to + SIZE, 0.0);
            }
        }
    }
}

inline Vector load(const double* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

// out (HEIGHT, WIDTH) += left strip times right strip. All loops are unrolled: the totals must not
// have an address, or they would be kept in memory.
void multiply(const double* left, const double* right, int64_t depth, double* out, int64_t stride) {
    Vector total[HEIGHT][ACROSS];
#pragma GCC unroll 16
    for (int h = 0; h < HEIGHT; ++h) {
        __builtin_prefetch(out + h * stride, 1);
#pragma GCC unroll 16
        for (int v = 0; v < ACROSS; ++v) total[h][v] = Vector{};
    }
    for (int64_t k = 0; k < depth; ++k, left += HEIGHT, right += WIDTH) {
        Vector own[ACROSS];
#pragma GCC unroll 16
        for (int v = 0; v < ACROSS; ++v) own[v] = load(right + v * LANES);
#pragma GCC unroll 16
        for (int h = 0; h < HEIGHT; ++h)
#pragma GCC unroll 16
            for (int v = 0; v < ACROSS; ++v) total[h][v] += left[h] * own[v];
    }
#pragma GCC unroll 16
    for (int h = 0; h < HEIGHT; ++h)
#pragma GCC unroll 16
        for (int v = 0; v < ACROSS; ++v) {
            const Vector sum = load(out + h * stride + v * LANES) + total[h][v];
            std::memcpy(out + h * stride + v * LANES, &sum, sizeof sum);
        }
}

// The columns from `start` to `stop`.
void add_columns(const Problem& p, int64_t start, int64_t stop) {
    const int64_t strips = (stop - start + WIDTH - 1) / WIDTH;
    const int64_t parts = (p.rows + DEPTH - 1) / DEPTH;
    const Buffer right(strips * WIDTH * DEPTH), left(PANEL * DEPTH);
    for (int64_t part = 0; part < parts; ++part) {
        const int64_t row = p.rows * part / parts, depth = p.rows * (part + 1) / parts - row;
        pack<WIDTH>(p.right, start, stop - start, row, depth, right.get());
        const int64_t last = p.upper ? std::min(p.left.count, stop) : p.left.count;
        for (int64_t top = 0; top < last; top += PANEL) {
            const int64_t high = std::min(PANEL, last - top);
            pack<HEIGHT>(p.left, top, high, row, depth, left.get());
            for (int64_t strip = 0; strip < strips; ++strip) {
                const int64_t column = start + strip * WIDTH;
                const int64_t wide = std::min<int64_t>(WIDTH, stop - column);
                for (int64_t h = 0; h < high; h += HEIGHT) {
                    if (p.upper && column + wide <= top + h) break;
                    const double *own = left.get() + h * depth, *other = right.get();
                    other += strip * WIDTH * depth;
                    const int64_t tall = std::min<int64_t>(HEIGHT, high - h);
                    double* out = p.out + (top + h) * p.stride + column;
                    if (tall == HEIGHT && wide == WIDTH) {
                        multiply(own, other, depth, out, p.stride);
                        continue;
                    }
                    double tile[HEIGHT * WIDTH] = {};
                    multiply(own, other, depth, tile, WIDTH);
                    for (int64_t r = 0; r < tall; ++r)
                        for (int64_t c = 0; c < wide; ++c)
                            out[r * p.stride + c] += tile[r * WIDTH + c];
                }
            }
        }
    }
}

}  // namespace

// Returns 0, or 1 where memory ran out; the sums are then incomplete.
extern "C" int add_products(const Problem* problem) {
    const Problem& p = *problem;
    int failed = 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(p.threads) reduction(| : failed)
#endif
    for (int32_t thread = 0; thread < p.threads; ++thread) try {
            add_columns(p, p.right.count * thread / p.threads,
                        p.right.count * (thread + 1) / p.threads);
        } catch (const std::bad_alloc&) {
            failed |= 1;
        }
    return failed;
}
