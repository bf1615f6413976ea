/* What Muon does to each number of a matrix before and after it is made orthogonal: torch would read and write it three times as
 * often. The reference is `follow` and `update` in updates.py for other types. */

#include <stdint.h>
#include <string.h>

typedef struct {
    const float *gradient;
    float *momentum;   /* what is remembered of gradients */
    uint16_t *wanted;  /* bfloat16: the direction in which to go */
    float memory;      /* share of the momentum that stays, and that the direction has of it */
} following;

typedef struct {
    float *param;
    const uint16_t *change; /* bfloat16 */
    float kept, rate;       /* share of the parameter that is left by weight decay, and how far it goes */
} updating;

static inline uint16_t narrow(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* to the nearest, of two as near the even one */
}

static inline float widen(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* Momentum as Nesterov has it, of the numbers from `from` up to `to`. */
void follow(const following *f, int32_t from, int32_t to) {
    const float *restrict gradient = f->gradient;
    float *restrict momentum = f->momentum;
    uint16_t *restrict wanted = f->wanted;
    const float memory = f->memory;
    for (int32_t i = from; i < to; i++) {
        float old = gradient[i] + memory * (momentum[i] - gradient[i]);
        momentum[i] = old;
        wanted[i] = narrow(gradient[i] + memory * (old - gradient[i]));
    }
}

void update(const updating *u, int32_t from, int32_t to) {
    float *restrict param = u->param;
    const uint16_t *restrict change = u->change;
    const float kept = u->kept, rate = u->rate;
    for (int32_t i = from; i < to; i++) param[i] = kept * param[i] - rate * widen(change[i]);
}
