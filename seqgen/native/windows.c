/* A window of an LSTM, forward and backward through time, for streams that are read side by side, in bfloat16.
 *
 * The equations are those of models/cells.py, which stay the reference. Only what must be done step by step is done here:
 * what a layer's input contributes is a large product beforehand, and so are the gradients of the weights afterwards.
 * Products are of bfloat16 and added up in float32; gates and cell states are float32. Each stream's numbers are added up in
 * the same order, whatever stands beside it, so that streams can be shared among threads.
 *
 * Recurrent weights (gates * hidden, hidden) are packed twice, so that they are read from the first to the last byte:
 *     forward   [hidden / LANES][hidden / PAIR][gate][LANES][PAIR]
 *     backward  [hidden / WIDE][gates * hidden / PAIR][WIDE][PAIR] */

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
    const uint16_t *inputs;    /* (time, rows, gates * hidden): what the layer's input contributes, biases included */
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
    int32_t time, rows, hidden;
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

/* A step of LANES units of `rows` streams, from `row` on. */
INLINE void step_forward(const window *w, int64_t t, int64_t row, int64_t panel, const int rows) {
    const int64_t hidden = w->hidden, unit = panel * LANES, at = t * w->rows + row;
    floats sums[FORWARD_ROWS * GATES];
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < GATES; g++) sums[r * GATES + g] = widen(w->inputs + ((at + r) * GATES + g) * hidden + unit);
    const uint16_t *before = t ? w->outputs + (at - w->rows) * hidden : w->first + row * hidden;
    add_products(sums, w->packed + panel * hidden * GATES * LANES, before, hidden, w->hidden, rows, GATES);
    const float *cells = t ? w->cells + (at - w->rows) * hidden : w->cell + row * hidden;
    for (int r = 0; r < rows; r++) {
        const floats *sum = sums + r * GATES;
        floats input = sigmoid(sum[INPUT]), forget = sigmoid(sum[FORGET]);
        floats candidate = tangent(sum[CELL]), output = sigmoid(sum[OUTPUT]);
        floats cell = forget * load(cells + r * hidden + unit) + input * candidate;
        float *kept = w->gates + ((at + r) * hidden + unit) * GATES;
        store(kept + INPUT * LANES, input);
        store(kept + FORGET * LANES, forget);
        store(kept + CELL * LANES, candidate);
        store(kept + OUTPUT * LANES, output);
        store(w->cells + (at + r) * hidden + unit, cell);
        narrow(w->outputs + (at + r) * hidden + unit, output * tangent(cell));
    }
}

/* The gradients of what the gates of one stream are fed at a step, and of the cell state before it. */
INLINE void step_gates(const window *w, int64_t t, int64_t row) {
    const int64_t hidden = w->hidden, at = t * w->rows + row;
    const float *cells = t ? w->cells + (at - w->rows) * hidden : w->cell + row * hidden;
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
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

/* Reads the window of the streams from `from` up to `to`. */
void forward(const window *w, int32_t from, int32_t to) {
    for (int32_t t = 0; t < w->time; t++)
        for (int32_t panel = 0; panel < w->hidden / LANES; panel++) {
            int32_t row = from;
            for (; row + FORWARD_ROWS <= to; row += FORWARD_ROWS) step_forward(w, t, row, panel, FORWARD_ROWS);
            for (; row < to; row++) step_forward(w, t, row, panel, 1);
        }
}

/* The way back through the same window. */
void backward(const window *w, int32_t from, int32_t to) {
    for (int32_t t = w->time - 1; t >= 0; t--) {
        for (int32_t row = from; row < to; row++) step_gates(w, t, row);
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

#endif

/* Packs recurrent weights for the way there and the way back. */
void pack(const uint16_t *weights, int32_t units, uint16_t *there, uint16_t *back) {
    const int64_t hidden = units;
    for (int64_t row = 0; row < GATES * hidden; row++) {
        const int64_t gate = row / hidden, unit = row % hidden;
        uint16_t *to = there + (unit / LANES * hidden * GATES + gate * PAIR) * LANES + unit % LANES * PAIR;
        for (int64_t k = 0; k < hidden; k += PAIR) memcpy(to + k * GATES * LANES, weights + row * hidden + k, 2 * PAIR);
        to = back + row / PAIR * WIDE * PAIR + row % PAIR;
        for (int64_t k = 0; k < hidden; k++) to[k / WIDE * GATES * hidden * WIDE + k % WIDE * PAIR] = weights[row * hidden + k];
    }
}
