/* Draws from recurrent language models, one symbol at a time and several streams side by side.
 *
 * The equations are those of models/cells.py and the rules those of decoding/rules.py, which stay the reference. What a
 * stream draws does not depend on those beside it: each of its numbers is added up in the same order, alone or not.
 *
 * Weights are laid out in panels of PANEL outputs, so that they are read from the first to the last byte: float32 as
 * [outputs / PANEL][inputs][PANEL], int8 as [outputs / PANEL][inputs / 4][PANEL][4]. Both sides are padded with zeros,
 * outputs to whole panels and inputs to multiples of 4. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define VECTORS 4
#define PANEL (LANES * VECTORS)
#define GROUP 4 /* streams that share a reading of the weights */

#define INLINE static inline __attribute__((always_inline))

typedef float floats __attribute__((vector_size(LANES * 4), aligned(4)));
typedef int32_t ints __attribute__((vector_size(LANES * 4), aligned(4)));

enum { LSTM, GRU, RNN };
enum { INPUT, FORGET, CELL, OUTPUT };
enum { RESET, UPDATE, NEW };
static const int GATES[] = {4, 3, 1};

typedef struct {
    const void *weights;
    const float *bias;      /* (outputs) */
    const float *scales;    /* (outputs): what 1 of an int8 product is worth; NULL: float32 */
    const int32_t *offsets; /* (outputs): 128 times the sum of a row, since inputs are stored with 128 added */
    int32_t inputs, outputs;
} matrix;

typedef struct {
    matrix input; /* of the layer below; without weights in the first layer, where `table` stands for it */
    matrix recurrent;
} layer;

typedef struct {
    const float *table; /* (symbols, gates * hidden): products of the first layer with each symbol's embedding */
    const layer *layers;
    matrix output;
    int32_t cell, count, hidden, symbols;
} network;

typedef struct {
    const int32_t *next; /* (states, symbols): an automaton that follows texts to be banned or preferred; NULL: none */
    const float *raises; /* (states, symbols): what is added to the logits there */
    const int32_t *sizes; /* (symbols): characters that a symbol adds */
    double first, last;  /* temperatures at the beginning of a sample and from `length` on */
    double length;       /* characters */
    double least;        /* characters before which no document may end */
    float penalty, top_p, min_p;
    int32_t recent, ngram, top_k; /* 0: off */
    int64_t window;
} rules;

typedef struct {
    float *state;     /* (layers, 1 or 2, padded hidden): the hidden state, and of an LSTM the cell state */
    float *logits;    /* (padded symbols): of the symbol that comes next */
    int32_t *history; /* what was read so far, the prompt included, with room for what is to be drawn */
    int64_t seen;     /* how many those are */
    int64_t written;  /* characters drawn so far */
    int32_t place;    /* state of the automaton */
} stream;

int32_t panel(void) { return PANEL; }

/* Whether int8 products have instructions of their own here. */
int32_t has_int8(void) {
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
    return 1;
#else
    return 0;
#endif
}

/* exp(x) of a float, within 2e-7 of it; what is too small becomes next to nothing, what is too large very much. */
INLINE float exponential(float x) {
    float power = 1.44269504f * x; /* of 2; its whole part goes into the exponent's bits */
    power = power < -126.f ? -126.f : power > 126.f ? 126.f : power;
    float whole = rintf(power), rest = power - whole;
    float value = 1.5403530e-4f; /* 2 to the rest, by its series */
    value = value * rest + 1.3333558e-3f;
    value = value * rest + 9.6181291e-3f;
    value = value * rest + 5.5504109e-2f;
    value = value * rest + 2.4022651e-1f;
    value = value * rest + 6.9314718e-1f;
    value = value * rest + 1.f;
    union { int32_t bits; float scale; } two = {.bits = ((int32_t)whole + 127) << 23};
    return value * two.scale;
}

INLINE float sigmoid(float x) { return 1.f / (1.f + exponential(-x)); }

INLINE float tangent(float x) { return 2.f * sigmoid(2.f * x) - 1.f; }

/* y = W x + b for `rows` streams. */
INLINE void multiply_floats(const matrix *m, const float *const *x, float *const *y, const int rows) {
    const float *weights = m->weights;
    for (int32_t out = 0; out < m->outputs; out += PANEL) {
        floats sums[GROUP][VECTORS];
        for (int row = 0; row < rows; row++)
            for (int v = 0; v < VECTORS; v++) sums[row][v] = *(const floats *)(m->bias + out + v * LANES);
        for (int32_t in = 0; in < m->inputs; in++, weights += PANEL)
            for (int row = 0; row < rows; row++)
                for (int v = 0; v < VECTORS; v++) sums[row][v] += *(const floats *)(weights + v * LANES) * x[row][in];
        for (int row = 0; row < rows; row++)
            for (int v = 0; v < VECTORS; v++) *(floats *)(y[row] + out + v * LANES) = sums[row][v];
    }
}

/* Adds to each of LANES sums four products of bytes: the weights' have a sign, the inputs' have none. */
INLINE ints add_products(ints sums, const int8_t *weights, const uint8_t *inputs) {
#if defined(__AVX512VNNI__)
    int32_t four;
    memcpy(&four, inputs, 4);
    return (ints)_mm512_dpbusd_epi32((__m512i)sums, _mm512_set1_epi32(four), _mm512_loadu_si512(weights));
#elif defined(__AVXVNNI__)
    int32_t four;
    memcpy(&four, inputs, 4);
    return (ints)_mm256_dpbusd_avx_epi32((__m256i)sums, _mm256_set1_epi32(four), _mm256_loadu_si256((const __m256i *)weights));
#else
    for (int lane = 0; lane < LANES; lane++)
        for (int part = 0; part < 4; part++) sums[lane] += weights[4 * lane + part] * inputs[part];
    return sums;
#endif
}

/* The same with weights and inputs as bytes; inputs lie between -1 and 1, as hidden states do. */
INLINE void multiply_bytes(const matrix *m, const float *const *x, float *const *y, const int rows) {
    const int8_t *weights = m->weights;
    uint8_t inputs[GROUP][m->inputs];
    for (int row = 0; row < rows; row++)
        for (int32_t in = 0; in < m->inputs; in++) inputs[row][in] = (uint8_t)(int32_t)(x[row][in] * 127.f + 128.5f);
    for (int32_t out = 0; out < m->outputs; out += PANEL) {
        ints sums[GROUP][VECTORS];
        for (int row = 0; row < rows; row++)
            for (int v = 0; v < VECTORS; v++) sums[row][v] = -*(const ints *)(m->offsets + out + v * LANES);
        for (int32_t in = 0; in < m->inputs; in += 4, weights += 4 * PANEL)
            for (int row = 0; row < rows; row++)
                for (int v = 0; v < VECTORS; v++)
                    sums[row][v] = add_products(sums[row][v], weights + 4 * v * LANES, inputs[row] + in);
        for (int row = 0; row < rows; row++)
            for (int v = 0; v < VECTORS; v++) {
                int32_t at = out + v * LANES;
                floats scale = *(const floats *)(m->scales + at), bias = *(const floats *)(m->bias + at);
                *(floats *)(y[row] + at) = __builtin_convertvector(sums[row][v], floats) * scale + bias;
            }
    }
}

INLINE void multiply(const matrix *m, const float *const *x, float *const *y, const int rows) {
    if (m->scales)
        multiply_bytes(m, x, y, rows);
    else
        multiply_floats(m, x, y, rows);
}

/* New hidden and cell state of a layer, from what its input and its own hidden state contribute. */
static __attribute__((noinline)) void update(int32_t cell, int32_t hidden, const float *restrict in,
                                             const float *restrict own, float *restrict h, float *restrict c) {
    if (cell == LSTM)
        for (int32_t u = 0; u < hidden; u++) {
            float input = sigmoid(in[INPUT * hidden + u] + own[INPUT * hidden + u]);
            float forget = sigmoid(in[FORGET * hidden + u] + own[FORGET * hidden + u]);
            float candidate = tangent(in[CELL * hidden + u] + own[CELL * hidden + u]);
            float output = sigmoid(in[OUTPUT * hidden + u] + own[OUTPUT * hidden + u]);
            c[u] = forget * c[u] + input * candidate;
            h[u] = output * tangent(c[u]);
        }
    else if (cell == GRU)
        for (int32_t u = 0; u < hidden; u++) {
            float reset = sigmoid(in[RESET * hidden + u] + own[RESET * hidden + u]);
            float keep = sigmoid(in[UPDATE * hidden + u] + own[UPDATE * hidden + u]);
            float candidate = tangent(in[NEW * hidden + u] + reset * own[NEW * hidden + u]);
            h[u] = candidate + keep * (h[u] - candidate);
        }
    else
        for (int32_t u = 0; u < hidden; u++) h[u] = tangent(in[u] + own[u]);
}

/* Reads the last symbol of each stream's history: new states, and the logits of what comes next. */
INLINE void read_last(const network *n, stream *const *group, const int rows) {
    const int32_t padded = n->layers[0].recurrent.inputs, outputs = n->layers[0].recurrent.outputs;
    const int32_t width = n->cell == LSTM ? 2 * padded : padded;
    const int64_t gates = (int64_t)GATES[n->cell] * n->hidden;
    float products[2 * GROUP][outputs] __attribute__((aligned(64)));
    float *in[GROUP], *own[GROUP], *h[GROUP], *below[GROUP], *logits[GROUP];
    for (int row = 0; row < rows; row++) {
        in[row] = (float *)n->table + gates * group[row]->history[group[row]->seen - 1];
        own[row] = products[row];
        h[row] = group[row]->state;
        logits[row] = group[row]->logits;
    }
    for (int32_t l = 0; l < n->count; l++) {
        multiply(&n->layers[l].recurrent, (const float *const *)h, own, rows);
        if (l > 0) {
            for (int row = 0; row < rows; row++) in[row] = products[GROUP + row];
            multiply(&n->layers[l].input, (const float *const *)below, in, rows);
        }
        for (int row = 0; row < rows; row++) {
            update(n->cell, n->hidden, in[row], own[row], h[row], h[row] + padded);
            below[row] = h[row];
            h[row] += width;
        }
    }
    multiply(&n->output, (const float *const *)below, logits, rows);
}

/* Whether one symbol stands before another when they are put in order: it is likelier, or as likely and comes first. */
INLINE bool before(const float *logits, int32_t one, int32_t other) {
    return logits[one] > logits[other] || (logits[one] == logits[other] && one < other);
}

/* Lets the symbol at `at` of a heap sink to its place; the first in order is on top. */
static void sink(const float *logits, int32_t *heap, int32_t size, int32_t at) {
    for (int32_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && before(logits, heap[child + 1], heap[child])) child++;
        if (!before(logits, heap[child], heap[at])) return;
        int32_t other = heap[at];
        heap[at] = heap[child];
        heap[child] = other;
    }
}

/* Symbols in order, the likeliest first, one at a time from a heap that is made of all that are not masked. */
static int32_t make_heap(const float *logits, int32_t symbols, int32_t *heap) {
    int32_t size = 0;
    for (int32_t s = 0; s < symbols; s++)
        if (logits[s] > -INFINITY) heap[size++] = s;
    for (int32_t at = size / 2 - 1; at >= 0; at--) sink(logits, heap, size, at);
    return size;
}

static int32_t take_first(const float *logits, int32_t *heap, int32_t *size) {
    int32_t first = heap[0];
    heap[0] = heap[--*size];
    sink(logits, heap, *size, 0);
    return first;
}

/* Keeps the `count` likeliest symbols, and of those the first that together have the probability `top_p`. */
static void keep_likeliest(float *logits, int32_t symbols, int32_t count, float top_p) {
    int32_t heap[symbols], kept[symbols], size = make_heap(logits, symbols, heap), taken = 0;
    float values[symbols];
    if (count > 0 && count < size) {
        for (; taken < count; taken++) kept[taken] = take_first(logits, heap, &size);
        for (int32_t at = 0; at < taken; at++) values[at] = logits[kept[at]];
        for (int32_t s = 0; s < symbols; s++) logits[s] = -INFINITY;
        for (int32_t at = 0; at < taken; at++) logits[kept[at]] = values[at];
        size = make_heap(logits, symbols, heap);
    }
    if (top_p >= 1.f || size == 0) return;
    double total = 0, sum = 0;
    float most = logits[heap[0]];
    for (int32_t s = 0; s < symbols; s++) total += logits[s] > -INFINITY ? exponential(logits[s] - most) : 0;
    for (taken = 0; size > 0 && (taken == 0 || sum < top_p * total); taken++) {
        kept[taken] = take_first(logits, heap, &size);
        values[taken] = logits[kept[taken]];
        sum += exponential(values[taken] - most);
    }
    for (int32_t s = 0; s < symbols; s++) logits[s] = -INFINITY;
    for (int32_t at = 0; at < taken; at++) logits[kept[at]] = values[at];
}

INLINE bool any(const float *logits, int32_t symbols) {
    for (int32_t s = 0; s < symbols; s++)
        if (logits[s] > -INFINITY) return true;
    return false;
}

/* Masks what would complete a run of `size` symbols that stands in the history already. */
static void mask_repeats(float *logits, const int32_t *history, int64_t seen, int32_t size, int64_t window) {
    const int32_t *last = history + seen - (size - 1);
    for (int64_t at = seen > window ? seen - window : 0; at + size <= seen; at++)
        if (!memcmp(history + at, last, (size - 1) * sizeof *last)) logits[history[at + size - 1]] = -INFINITY;
}

/* The logits of a stream after all rules, in the order of RULES in decoding/rules.py; the temperature that was left. */
static double bend(const rules *r, const stream *s, int32_t symbols, float *logits) {
    float kept[symbols];
    if (r->next) {
        const float *raise = r->raises + (int64_t)s->place * symbols;
        memcpy(kept, logits, sizeof kept);
        for (int32_t i = 0; i < symbols; i++) logits[i] += raise[i];
        if (!any(logits, symbols)) memcpy(logits, kept, sizeof kept); /* no rule masks all that is left */
    }
    if (s->written < r->least) {
        float document = logits[0];
        logits[0] = -INFINITY;
        if (!any(logits, symbols)) logits[0] = document;
    }
    if (r->ngram > 0 && s->seen >= r->ngram) {
        memcpy(kept, logits, sizeof kept);
        mask_repeats(logits, s->history, s->seen, r->ngram, r->window);
        if (!any(logits, symbols)) memcpy(logits, kept, sizeof kept);
    }
    if (r->penalty != 1.f) {
        memcpy(kept, logits, sizeof kept);
        for (int64_t at = s->seen > r->recent ? s->seen - r->recent : 0; at < s->seen; at++) {
            float value = kept[s->history[at]];
            logits[s->history[at]] = value > 0 ? value / r->penalty : value * r->penalty;
        }
    }
    double along = r->first == r->last || s->written < 0 ? 0 : s->written / r->length;
    double temperature = r->first + (r->last - r->first) * (along < 1 ? along : 1);
    if (temperature < 1e-6) return 0;
    float most = -INFINITY;
    for (int32_t i = 0; i < symbols; i++) most = logits[i] > most ? logits[i] : most;
    for (int32_t i = 0; i < symbols; i++) logits[i] = (logits[i] - most) / (float)temperature;
    if ((r->top_k > 0 && r->top_k < symbols) || r->top_p < 1.f) keep_likeliest(logits, symbols, r->top_k, r->top_p);
    if (r->min_p > 0)
        for (int32_t i = 0; i < symbols; i++) logits[i] = logits[i] < logf(r->min_p) ? -INFINITY : logits[i];
    return temperature;
}

/* Draws a symbol by inverting the cumulative distribution, given a number in [0, 1). */
static int32_t choose(const float *logits, int32_t symbols, double temperature, double uniform) {
    int32_t best = 0;
    for (int32_t s = 1; s < symbols; s++)
        if (logits[s] > logits[best]) best = s;
    if (temperature == 0) return best;
    float weights[symbols];
    double total = 0, sum = 0;
    for (int32_t s = 0; s < symbols; s++) weights[s] = logits[s] > -INFINITY ? exponential(logits[s] - logits[best]) : 0;
    for (int32_t s = 0; s < symbols; s++) total += weights[s];
    for (int32_t s = 0; s < symbols; s++)
        if ((sum += weights[s]) > uniform * total) return s;
    return best;
}

/* Draws `block` symbols in each stream of a group, and reads each of them. */
INLINE void draw_group(const network *n, const rules *r, stream *const *group, const double *const *uniform, int32_t block,
                       const int rows) {
    for (int32_t step = 0; step < block; step++) {
        for (int row = 0; row < rows; row++) {
            stream *s = group[row];
            float logits[n->symbols];
            memcpy(logits, s->logits, sizeof logits);
            double temperature = bend(r, s, n->symbols, logits);
            int32_t symbol = choose(logits, n->symbols, temperature, uniform[row][step]);
            if (r->next) s->place = r->next[(int64_t)s->place * n->symbols + symbol];
            s->written += r->sizes[symbol];
            s->history[s->seen++] = symbol;
        }
        read_last(n, group, rows);
    }
}

/* Draws `block` symbols in each of `count` streams: they stand at the end of its history then. `uniform` (count, block). */
void draw(const network *n, const rules *r, stream *all, int32_t count, const double *uniform, int32_t block) {
    stream *group[GROUP];
    const double *numbers[GROUP];
    int32_t at = 0;
    for (; at + GROUP <= count; at += GROUP) {
        for (int row = 0; row < GROUP; row++) {
            group[row] = all + at + row;
            numbers[row] = uniform + (int64_t)(at + row) * block;
        }
        draw_group(n, r, group, numbers, block, GROUP);
    }
    for (; at < count; at++) {
        group[0] = all + at;
        numbers[0] = uniform + (int64_t)at * block;
        draw_group(n, r, group, numbers, block, 1);
    }
}

/* Reads the last symbol of each history, for who draws by other means. */
void read_streams(const network *n, stream *all, int32_t count) {
    for (int32_t at = 0; at < count; at++) {
        stream *one = all + at;
        read_last(n, &one, 1);
    }
}

/* What the rules make of a stream's logits, for comparison with the reference: logits (symbols) are changed in place. */
double bent(const rules *r, const stream *s, int32_t symbols, float *logits) { return bend(r, s, symbols, logits); }
