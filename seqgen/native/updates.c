/* What Muon does to each number of a matrix before and after it is made orthogonal: torch would read and write it three times as
 * often. The reference is `follow` and `update` in updates.py for other types. */

#include <stdint.h>
#include <string.h>

typedef struct {
    const float *gradient;
    float *momentum;   /* what is remembered of gradients */
    uint16_t *wanted;  /* bfloat16: the direction in which to go */
    int64_t numbers;
} following;

typedef struct {
    float *param;
    const uint16_t *change; /* bfloat16 */
    int64_t numbers;
} updating;

/* Of all matrices each thread does some of `shares` parts, so that it is called once for all of them. */
typedef struct {
    const following *matrices;
    int32_t count, shares;
    float memory; /* share of the momentum that stays, and that the direction has of it */
} followings;

typedef struct {
    const updating *matrices;
    int32_t count, shares;
    float kept, rate; /* share of the parameters that is left by weight decay, and how far they go */
} updatings;

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

/* Momentum as Nesterov has it, of the shares from `from` up to `to`. */
void follow(const followings *f, int32_t from, int32_t to) {
    const float memory = f->memory;
    for (const following *m = f->matrices; m < f->matrices + f->count; m++) {
        const float *restrict gradient = m->gradient;
        float *restrict momentum = m->momentum;
        uint16_t *restrict wanted = m->wanted;
        const int64_t last = m->numbers * to / f->shares;
        for (int64_t i = m->numbers * from / f->shares; i < last; i++) {
            float old = gradient[i] + memory * (momentum[i] - gradient[i]);
            momentum[i] = old;
            wanted[i] = narrow(gradient[i] + memory * (old - gradient[i]));
        }
    }
}

void update(const updatings *u, int32_t from, int32_t to) {
    const float kept = u->kept, rate = u->rate;
    for (const updating *m = u->matrices; m < u->matrices + u->count; m++) {
        float *restrict param = m->param;
        const uint16_t *restrict change = m->change;
        const int64_t last = m->numbers * to / u->shares;
        for (int64_t i = m->numbers * from / u->shares; i < last; i++) param[i] = kept * param[i] - rate * widen(change[i]);
    }
}
