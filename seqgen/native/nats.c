/* What targets cost, from logits in bfloat16, and the gradients of the logits: each logit is read once on either way.
 *
 * The reference is `cross_entropy` in nats.py for other logits. All numbers in between are float32. A row's are added up in the
 * same order, whatever stands beside it. */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint16_t *logits;   /* (rows, symbols) */
    const int64_t *targets;   /* (rows) */
    float *totals;            /* (rows): the logarithm of the sum of all exponentials */
    float *nats;              /* (rows): what the targets cost */
    const float *gradients;   /* (rows): of the nats */
    uint16_t *changes;        /* (rows, symbols): gradients of the logits */
    int64_t symbols;
    float smoothing;          /* share of the gradient that goes to all symbols alike */
} table;

#define LANES 16
#define NOTHING -1e30f /* stands for logits beyond the last one of a row */

typedef float floats __attribute__((vector_size(LANES * 4), aligned(4)));
typedef int32_t ints __attribute__((vector_size(LANES * 4), aligned(4)));
typedef uint32_t words __attribute__((vector_size(LANES * 4), aligned(4)));
typedef uint16_t halves __attribute__((vector_size(LANES * 2), aligned(2)));

#define INLINE static inline __attribute__((always_inline))

INLINE float widen_one(uint16_t value) {
    const uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, 4);
    return wide;
}

INLINE floats widen(halves values) { return (floats)(__builtin_convertvector(values, words) << 16); }

INLINE halves narrow(floats values) { /* to the nearest, of two the even one */
    const words bits = (words)values;
    return __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, halves);
}

/* The logits of a row from `k` on, of which there are `count`. */
INLINE floats load(const uint16_t *logits, int64_t k, int64_t count) {
    if (count >= LANES) return widen(*(const halves *)(logits + k));
    floats values;
    for (int lane = 0; lane < LANES; lane++) values[lane] = lane < count ? widen_one(logits[k + lane]) : NOTHING;
    return values;
}

INLINE floats larger(floats one, floats other) {
    const ints which = one > other;
    return (floats)(((ints)one & which) | ((ints)other & ~which));
}

/* exp(x) for x <= 0, within 3e-7 of it where that is above 1e-26; below, as much as that. */
INLINE floats exponential(floats x) {
    const float shift = 12582912.f; /* added to a small number, it leaves the whole part in the lowest bits */
    const floats least = (floats){0} - 86.f;
    const floats power = larger(1.44269504f * x, least), shifted = power + shift, rest = power - (shifted - shift);
    floats value = 1.5403530e-4f * rest + 1.3333558e-3f; /* 2 to the rest, by its series */
    value = value * rest + 9.6181291e-3f;
    value = value * rest + 5.5504109e-2f;
    value = value * rest + 2.4022651e-1f;
    value = value * rest + 6.9314718e-1f;
    value = value * rest + 1.f;
    return (floats)((ints)value + ((ints)shifted << 23)); /* the whole part goes into the exponent */
}

/* Rows `from` to `to`: totals and nats. Those of a row with a logit that is no finite number are none either. */
void forward(const table *t, int32_t from, int32_t to) {
    for (int64_t row = from; row < to; row++) {
        const uint16_t *logits = t->logits + row * t->symbols;
        floats most = (floats){0} + NOTHING, strange = {0}, sums = {0};
        for (int64_t k = 0; k < t->symbols; k += LANES) {
            const floats x = load(logits, k, t->symbols - k);
            most = larger(x, most);
            strange += x - x;
        }
        float largest = NOTHING, sum = 0.f, odd = 0.f;
        for (int lane = 0; lane < LANES; lane++) {
            largest = most[lane] > largest ? most[lane] : largest;
            odd += strange[lane];
        }
        for (int64_t k = 0; k < t->symbols; k += LANES) sums += exponential(load(logits, k, t->symbols - k) - largest);
        for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
        t->totals[row] = largest + logf(sum) + odd;
        t->nats[row] = t->totals[row] - widen_one(logits[t->targets[row]]);
    }
}

/* The same rows: gradients of the logits. */
void backward(const table *t, int32_t from, int32_t to) {
    const float alike = t->smoothing / (float)t->symbols;
    for (int64_t row = from; row < to; row++) {
        const uint16_t *logits = t->logits + row * t->symbols;
        uint16_t *changes = t->changes + row * t->symbols;
        const float total = t->totals[row], gradient = t->gradients[row];
        const int64_t target = t->targets[row];
        for (int64_t k = 0; k < t->symbols; k += LANES) {
            const int64_t count = t->symbols - k;
            floats change = exponential(load(logits, k, count) - total) - alike;
            if (target >= k && target < k + LANES) change[target - k] -= 1.f - t->smoothing;
            const halves narrowed = narrow(gradient * change);
            memcpy(changes + k, &narrowed, 2 * (count < LANES ? count : LANES));
        }
    }
}
