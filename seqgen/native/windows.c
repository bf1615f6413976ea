/* A window of an LSTM, forward and backward through time, for streams that are read side by side, in bfloat16.
 *
 * The equations are those of models/cells.py, which stay the reference. Only what must be done step by step is done here:
 * what a layer's input contributes is a large product beforehand, and so are the gradients of the weights afterwards.
 * Products are of bfloat16 and added up in float32; gates and cell states are float32. Each stream's numbers are added up in
 * the same order, whatever stands beside it, so that streams can be shared among threads.
 *
 * Recurrent weights (gates * hidden, hidden) are packed twice, so that they are read from the first to the last byte:
 *     forward   [hidden / LANES][hidden / PAIR][gate][LANES][PAIR]
 *     backward  [hidden / WIDE][gates * hidden / PAIR][WIDE][PAIR]
 *
 * Processors with a matrix unit (AMX) take the products from there: LANES rows of PAIR numbers of LANES units make a tile. */

#if defined(__AMX_BF16__) && defined(__linux__)
#define _GNU_SOURCE /* for syscall, by which a process asks for the matrix unit */
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <stdint.h>
#include <string.h>

#define LANES 16
#define PAIR 2
#define GATES 4
#define VECTORS 2 /* of LANES: what the way back makes at once of a row */
#define WIDE (VECTORS * LANES)
#define FORWARD_ROWS 4 /* at most that share a reading of the weights: their sums must stay in registers */
#define BACKWARD_ROWS 8

typedef struct {
    const uint16_t *inputs;    /* (time, rows, gates * hidden): what the layer's input contributes */
    const float *bias;         /* (gates * hidden) */
    const uint16_t *packed;    /* recurrent weights, for this direction */
    const uint16_t *first;     /* (rows, hidden): the hidden state before the window */
    const float *cell;         /* (rows, hidden): the cell state before it */
    uint16_t *outputs;         /* (time, rows, hidden): hidden states */
    float *gates;              /* (time, rows, hidden / LANES, gates, LANES): kept for the way back */
    float *cells;              /* (time, rows, hidden) */
    const uint16_t *gradients; /* (time, rows, hidden): of the outputs */
    uint16_t *changes;         /* (time, rows, gates * hidden): gradients of what the gates are fed */
    float *of_hidden;          /* (rows, hidden): gradient of the last hidden state; in the end, of the one before the window */
    float *of_cell;            /* (rows, hidden): the same of the cell state */
    int32_t *done;             /* steps of all threads together, where they share units and wait for each other */
    int32_t time, rows, hidden;
    int32_t threads;           /* how many of them do */
    int32_t tiles;             /* whether the matrix unit is used, where `has_tiles` */
} window;

int32_t wide(void) { return WIDE; }

#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#include <immintrin.h>

int32_t is_supported(void) { return 1; }

#define INLINE static inline __attribute__((always_inline))

typedef float floats __attribute__((vector_size(LANES * 4), aligned(4)));
typedef int32_t ints __attribute__((vector_size(LANES * 4), aligned(4)));

enum { INPUT, FORGET, CELL, OUTPUT };

INLINE floats load(const float *from) { return *(const floats *)from; }
INLINE void store(float *to, floats value) { *(floats *)to = value; }

INLINE floats widen(const uint16_t *from) {
    return (floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16);
}

INLINE void narrow(uint16_t *to, floats value) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)value));
}

INLINE floats reciprocal(floats x) {
    floats near = (floats)_mm512_rcp14_ps((__m512)x);
    return near * (2.f - x * near);
}

/* exp(x), within 3e-7 of it where that is between 1e-12 and 1e12; beyond, whichever of the two is nearer. */
INLINE floats exponential(floats x) {
    const float shift = 12582912.f; /* added to a small number, it leaves the whole part in the lowest bits */
    floats power = (floats)_mm512_min_ps(_mm512_max_ps((__m512)(1.44269504f * x), _mm512_set1_ps(-40.f)), _mm512_set1_ps(40.f));
    floats shifted = power + shift, rest = power - (shifted - shift);
    floats value = 1.3333558e-3f * rest + 9.6181291e-3f; /* 2 to the rest, by its series */
    value = value * rest + 5.5504109e-2f;
    value = value * rest + 2.4022651e-1f;
    value = value * rest + 6.9314718e-1f;
    value = value * rest + 1.f;
    return (floats)((ints)value + ((ints)shifted << 23)); /* the whole part goes into the exponent */
}

INLINE floats sigmoid(floats x) { return reciprocal(1.f + exponential(-x)); }
INLINE floats tangent(floats x) { return 1.f - 2.f * reciprocal(1.f + exponential(2.f * x)); }

/* sums[row][v] += inputs[row] . panel[v], over `count` inputs. */
INLINE void add_products(floats *sums, const uint16_t *panel, const uint16_t *inputs, int64_t stride, int32_t count,
                         const int rows, const int vectors) {
    for (int32_t k = 0; k < count; k += PAIR, panel += PAIR * vectors * LANES)
        for (int v = 0; v < vectors; v++) {
            __m512bh weights = (__m512bh)_mm512_loadu_si512(panel + v * PAIR * LANES);
            for (int row = 0; row < rows; row++) {
                int32_t two;
                memcpy(&two, inputs + row * stride + k, 4);
                floats *sum = sums + row * vectors + v;
                *sum = (floats)_mm512_dpbf16_ps((__m512)*sum, (__m512bh)_mm512_set1_epi32(two), weights);
            }
        }
}

/* A step of LANES units of a stream whose gates are fed `sums`. */
INLINE void step_cells(const window *w, int64_t t, int64_t row, int64_t unit, const floats *sums) {
    const int64_t hidden = w->hidden, at = t * w->rows + row;
    const float *cells = t ? w->cells + (at - w->rows) * hidden : w->cell + row * hidden;
    floats input = sigmoid(sums[INPUT]), forget = sigmoid(sums[FORGET]);
    floats candidate = tangent(sums[CELL]), output = sigmoid(sums[OUTPUT]);
    floats cell = forget * load(cells + unit) + input * candidate;
    float *kept = w->gates + (at * hidden + unit) * GATES;
    store(kept + INPUT * LANES, input);
    store(kept + FORGET * LANES, forget);
    store(kept + CELL * LANES, candidate);
    store(kept + OUTPUT * LANES, output);
    store(w->cells + at * hidden + unit, cell);
    narrow(w->outputs + at * hidden + unit, output * tangent(cell));
}

/* The hidden state of a stream before a step. */
INLINE const uint16_t *hidden_before(const window *w, int64_t t, int64_t row) {
    return t ? w->outputs + ((t - 1) * w->rows + row) * w->hidden : w->first + row * w->hidden;
}

/* What LANES units of a gate are fed but for the recurrent weights. */
INLINE floats fed(const window *w, int64_t t, int64_t row, int gate, int64_t unit) {
    const int64_t at = gate * w->hidden + unit;
    return widen(w->inputs + (t * w->rows + row) * GATES * w->hidden + at) + load(w->bias + at);
}

/* A step of LANES units of `rows` streams, from `row` on. */
INLINE void step_forward(const window *w, int64_t t, int64_t row, int64_t panel, const int rows) {
    const int64_t hidden = w->hidden, unit = panel * LANES;
    floats sums[FORWARD_ROWS * GATES];
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < GATES; g++) sums[r * GATES + g] = fed(w, t, row + r, g, unit);
    const uint16_t *weights = w->packed + panel * hidden * GATES * LANES;
    add_products(sums, weights, hidden_before(w, t, row), hidden, w->hidden, rows, GATES);
    for (int r = 0; r < rows; r++) step_cells(w, t, row + r, unit, sums + r * GATES);
}

/* The gradients of what the gates of units of a stream are fed at a step, and of their cell states before it. */
INLINE void step_gates(const window *w, int64_t t, int64_t row, int64_t from, int64_t to) {
    const int64_t hidden = w->hidden, at = t * w->rows + row;
    const float *cells = t ? w->cells + (at - w->rows) * hidden : w->cell + row * hidden;
    for (int64_t unit = from; unit < to; unit += LANES) {
        const float *kept = w->gates + (at * hidden + unit) * GATES;
        floats input = load(kept + INPUT * LANES), forget = load(kept + FORGET * LANES);
        floats candidate = load(kept + CELL * LANES), output = load(kept + OUTPUT * LANES);
        floats squashed = tangent(load(w->cells + at * hidden + unit));
        floats gradient = load(w->of_hidden + row * hidden + unit) + widen(w->gradients + at * hidden + unit);
        floats cell = load(w->of_cell + row * hidden + unit) + gradient * output * (1.f - squashed * squashed);
        store(w->of_cell + row * hidden + unit, cell * forget);
        uint16_t *to = w->changes + at * GATES * hidden + unit;
        narrow(to + INPUT * hidden, cell * candidate * input * (1.f - input));
        narrow(to + FORGET * hidden, cell * load(cells + unit) * forget * (1.f - forget));
        narrow(to + CELL * hidden, cell * input * (1.f - candidate * candidate));
        narrow(to + OUTPUT * hidden, gradient * squashed * output * (1.f - output));
    }
}

/* The gradient of WIDE units of the hidden state before a step, of `rows` streams from `row` on. */
INLINE void step_backward(const window *w, int64_t t, int64_t row, int64_t panel, const int rows) {
    const int64_t hidden = w->hidden, from = GATES * hidden;
    floats sums[BACKWARD_ROWS * VECTORS];
    for (int i = 0; i < rows * VECTORS; i++) sums[i] = (floats){0};
    const uint16_t *changes = w->changes + (t * w->rows + row) * from;
    add_products(sums, w->packed + panel * from * WIDE, changes, from, (int32_t)from, rows, VECTORS);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            store(w->of_hidden + (row + r) * hidden + panel * WIDE + v * LANES, sums[r * VECTORS + v]);
}

#if defined(__AMX_BF16__) && defined(__linux__)

enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl, and the state that it is asked for */

/* Whether this process may use a matrix unit, for which it has to ask the system. */
int32_t has_tiles(void) { return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0; }

#define TILE_ROWS 16
#define TILE_BYTES 64
#define TILE_NUMBERS (TILE_BYTES / 2)
#define TILE_STRIDE(rows_apart) ((rows_apart) * PAIR * LANES * 2)
/* Tiles by number, for compilers that spell them so: 0 to 3 are sums, one is of what is read, three of weights in turn. */
#define READ 4
#define FIRST 5
#define SECOND 6
#define THIRD 7
#define TILES 8
#define PATIENT_LOOKS 200 /* at the others, before a thread lets other programs have its processor meanwhile */

/* Some compilers do not know that tiles are loaded from memory and stored there, nor that their shapes are read from it. */
#define MEMORY_IS_USED(at) __asm__ volatile("" : : "r"(at) : "memory")

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} shapes;

INLINE void shape_tiles(int32_t rows) {
    shapes wanted = {.palette = 1};
    for (int tile = 0; tile < TILES; tile++) {
        wanted.bytes[tile] = TILE_BYTES;
        wanted.rows[tile] = tile <= READ ? (uint8_t)rows : TILE_ROWS;
    }
    MEMORY_IS_USED(&wanted);
    _tile_loadconfig(&wanted);
}

/* What a thread does of a window: some streams, all units of them; or all streams, and of each some units. */
typedef struct {
    int32_t row, last_row, unit, last_unit;
} part;

/* How many streams the next tiles take; shapes them where that changes. */
INLINE int32_t take_rows(int32_t row, int32_t last, int32_t *shaped) {
    int32_t rows = last - row < TILE_ROWS ? last - row : TILE_ROWS;
    if (rows != *shaped) shape_tiles(*shaped = rows);
    return rows;
}

/* Says that this thread has done so many steps, and waits for those that share the units with it. */
INLINE void wait_for_others(const window *w, int64_t steps) {
    if (!w->threads) return;
    __atomic_add_fetch(w->done, 1, __ATOMIC_ACQ_REL);
    for (int32_t looks = 0; __atomic_load_n(w->done, __ATOMIC_ACQUIRE) < steps * w->threads; looks++)
        if (looks < PATIENT_LOOKS) _mm_pause();
        else sched_yield();
}

#define CLEAR_SUMS(sums) \
    do { \
        MEMORY_IS_USED(sums); \
        _tile_zero(0); \
        _tile_zero(1); \
        _tile_zero(2); \
        _tile_zero(3); \
    } while (0)

#define STORE_SUMS(first, second, third, fourth, stride) \
    do { \
        _tile_stored(0, first, stride); \
        _tile_stored(1, second, stride); \
        _tile_stored(2, third, stride); \
        _tile_stored(3, fourth, stride); \
        MEMORY_IS_USED(first); \
    } while (0)

#define ADD_PRODUCT(sum, tile, from, stride) \
    do { \
        _tile_loadd(tile, from, stride); \
        _tile_dpbf16ps(sum, READ, tile); \
    } while (0)

/* Some units of some streams at a step, whose sums are made at once. */
typedef struct {
    int64_t t, unit;
    int32_t row, rows;
} block;

/* Vectors finish a block, a stream after the other, and would let the matrix unit wait: so that is done between the products of
 * the next block, after each of `count` of them a share of the streams. With the last one all are finished, and their sums may be
 * overwritten. */
#define FINISH_SHARE(finish, waiting, sums, finished, product, count) \
    for (const int64_t last = (waiting).rows * ((product) + 1) / (count); finished < last; finished++) \
    finish(w, &(waiting), sums, finished)

INLINE void finish_forward(const window *w, const block *b, floats *sums, int64_t r) {
    for (int g = 0; g < GATES; g++) sums[r * GATES + g] += fed(w, b->t, b->row + r, g, b->unit);
    step_cells(w, b->t, b->row + r, b->unit, sums + r * GATES);
}

static void forward_by_tiles(const window *w, part p) {
    const int64_t hidden = w->hidden, products = hidden / TILE_NUMBERS;
    floats sums[TILE_ROWS * GATES];
    int32_t shaped = 0;
    for (int64_t t = 0; t < w->time; t++) {
        block waiting = {.rows = 0};
        for (int64_t unit = p.unit; unit < p.last_unit; unit += LANES)
            for (int32_t row = p.row; row < p.last_row; row += TILE_ROWS) {
                const int32_t rows = take_rows(row, p.last_row, &shaped);
                const uint16_t *before = hidden_before(w, t, row), *weights = w->packed + unit * hidden * GATES;
                CLEAR_SUMS(sums);
                for (int64_t k = 0, finished = 0; k < products; k++, weights += TILE_NUMBERS * GATES * LANES) {
                    _tile_loadd(READ, before + k * TILE_NUMBERS, hidden * 2);
                    ADD_PRODUCT(0, FIRST, weights, TILE_STRIDE(GATES));
                    ADD_PRODUCT(1, SECOND, weights + PAIR * LANES, TILE_STRIDE(GATES));
                    ADD_PRODUCT(2, THIRD, weights + 2 * PAIR * LANES, TILE_STRIDE(GATES));
                    ADD_PRODUCT(3, FIRST, weights + 3 * PAIR * LANES, TILE_STRIDE(GATES));
                    FINISH_SHARE(finish_forward, waiting, sums, finished, k, products);
                }
                STORE_SUMS(sums, sums + 1, sums + 2, sums + 3, GATES * LANES * 4);
                waiting = (block){t, unit, row, rows};
            }
        for (int64_t r = 0; r < waiting.rows; r++) finish_forward(w, &waiting, sums, r);
        wait_for_others(w, t + 1);
    }
    _tile_release();
}

/* The gradients of the hidden states before a step, and with them what the step before needs. */
INLINE void finish_backward(const window *w, const block *b, const floats *sums, int64_t r) {
    const int64_t row = b->row + r;
    const floats *of_row = sums + r * VECTORS, *others = of_row + TILE_ROWS * VECTORS;
    for (int v = 0; v < VECTORS; v++) store(w->of_hidden + row * w->hidden + b->unit + v * LANES, of_row[v] + others[v]);
    if (b->t) step_gates(w, b->t - 1, row, b->unit, b->unit + WIDE);
}

/* The same steps on the way back. Products go through both halves of the changes at once: four sums that grow by turns keep the
 * unit busy, where two would wait for themselves. */
static void backward_by_tiles(const window *w, part p) {
    const int64_t changed = GATES * w->hidden, half = changed / 2, products = half / TILE_NUMBERS;
    floats sums[2 * TILE_ROWS * VECTORS], *others = sums + TILE_ROWS * VECTORS;
    int32_t shaped = 0;
    for (int32_t row = p.row; row < p.last_row; row++) step_gates(w, w->time - 1, row, p.unit, p.last_unit);
    for (int64_t t = w->time - 1; t >= 0; t--) {
        wait_for_others(w, w->time - t);
        block waiting = {.rows = 0};
        for (int64_t unit = p.unit; unit < p.last_unit; unit += WIDE)
            for (int32_t row = p.row; row < p.last_row; row += TILE_ROWS) {
                const int32_t rows = take_rows(row, p.last_row, &shaped);
                const uint16_t *changes = w->changes + (t * w->rows + row) * changed;
                const uint16_t *weights = w->packed + unit * changed;
                CLEAR_SUMS(sums);
                for (int64_t k = 0, finished = 0; k < products; k++) {
                    _tile_loadd(READ, changes, changed * 2);
                    ADD_PRODUCT(0, FIRST, weights, TILE_STRIDE(VECTORS));
                    ADD_PRODUCT(1, SECOND, weights + PAIR * LANES, TILE_STRIDE(VECTORS));
                    _tile_loadd(READ, changes + half, changed * 2);
                    ADD_PRODUCT(2, THIRD, weights + half * WIDE, TILE_STRIDE(VECTORS));
                    ADD_PRODUCT(3, FIRST, weights + half * WIDE + PAIR * LANES, TILE_STRIDE(VECTORS));
                    changes += TILE_NUMBERS;
                    weights += TILE_NUMBERS * WIDE;
                    FINISH_SHARE(finish_backward, waiting, sums, finished, k, products);
                }
                STORE_SUMS(sums, sums + 1, others, others + 1, VECTORS * LANES * 4);
                waiting = (block){t, unit, row, rows};
            }
        for (int64_t r = 0; r < waiting.rows; r++) finish_backward(w, &waiting, sums, r);
    }
    _tile_release();
}

/* The same for threads that share the units, from `from` up to `to`: each reads its share of the weights alone. */
void forward_of_units(const window *w, int32_t from, int32_t to) { forward_by_tiles(w, (part){0, w->rows, from, to}); }
void backward_of_units(const window *w, int32_t from, int32_t to) { backward_by_tiles(w, (part){0, w->rows, from, to}); }

#else

int32_t has_tiles(void) { return 0; }
#define forward_by_tiles(w, p)
#define backward_by_tiles(w, p)

#endif

/* Reads the window of the streams from `from` up to `to`. */
void forward(const window *w, int32_t from, int32_t to) {
    if (w->tiles) {
        forward_by_tiles(w, ((part){from, to, 0, w->hidden}));
        return;
    }
    for (int32_t t = 0; t < w->time; t++)
        for (int32_t panel = 0; panel < w->hidden / LANES; panel++) {
            int32_t row = from;
            for (; row + FORWARD_ROWS <= to; row += FORWARD_ROWS) step_forward(w, t, row, panel, FORWARD_ROWS);
            for (; row < to; row++) step_forward(w, t, row, panel, 1);
        }
}

/* The way back through the same window. */
void backward(const window *w, int32_t from, int32_t to) {
    if (w->tiles) {
        backward_by_tiles(w, ((part){from, to, 0, w->hidden}));
        return;
    }
    for (int32_t t = w->time - 1; t >= 0; t--) {
        for (int32_t row = from; row < to; row++) step_gates(w, t, row, 0, w->hidden);
        for (int32_t panel = 0; panel < w->hidden / WIDE; panel++) {
            int32_t row = from;
            for (; row + BACKWARD_ROWS <= to; row += BACKWARD_ROWS) step_backward(w, t, row, panel, BACKWARD_ROWS);
            for (; row + 4 <= to; row += 4) step_backward(w, t, row, panel, 4);
            for (; row < to; row++) step_backward(w, t, row, panel, 1);
        }
    }
}

#else

int32_t is_supported(void) { return 0; }
int32_t has_tiles(void) { return 0; }

#endif

typedef struct {
    const uint16_t *weights;  /* (gates * hidden, hidden) */
    uint32_t *there, *back;   /* packed for the two ways; a pair is a number */
    int32_t hidden;
} packing;

/* Packs the recurrent weights of the blocks of WIDE units from `from` up to `to`. */
void pack(const packing *p, int32_t from, int32_t to) {
    const int64_t hidden = p->hidden, pairs = hidden / PAIR;
    for (int64_t unit = (int64_t)from * WIDE; unit < (int64_t)to * WIDE; unit += LANES) {
        uint32_t *there = p->there + unit * pairs * GATES;
        for (int64_t k = 0; k < pairs; k++)
            for (int64_t gate = 0; gate < GATES; gate++)
                for (int64_t lane = 0; lane < LANES; lane++)
                    memcpy(there++, p->weights + (gate * hidden + unit + lane) * hidden + k * PAIR, sizeof *there);
        for (int64_t gate = 0; gate < GATES; gate++)
            for (int64_t lane = 0; lane < LANES; lane += PAIR) {
                const int64_t row = gate * hidden + unit + lane;
                const uint16_t *first = p->weights + row * hidden, *second = first + hidden;
                uint32_t *back = p->back + row / PAIR * WIDE;
                for (int64_t k = 0; k < hidden; k += WIDE, back += GATES * hidden / PAIR * WIDE)
                    for (int64_t i = 0; i < WIDE; i++) back[i] = first[k + i] | (uint32_t)second[k + i] << 16;
            }
    }
}
