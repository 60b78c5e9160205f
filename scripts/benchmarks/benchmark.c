/* Back-propagation in C with the sizes of the networks compiled in: what hand-vectorised C reaches on one core.
   benchmark.py compiles this file, checks its results and sets its times beside those of bpjit.

   xor_online            2-2-1, update after each sample, scalar code
   iris_online           4-8-3, update after each sample, vectorised by the compiler
   digits_online         64-32-10, update after each sample, vectors along the hidden units
   mnist_online          784-100-10, the same; both read and write W1 once per sample
   mnist_sparse_online   784-100-10, only the rows of W1 whose input is not zero are touched
   deep_online           16-32-32-32-4, tanh, as digits_online; sums along rows by turning
   digits_batch32        64-32-10, mini-batches of 32, register-tiled matrix products, no BLAS
   mnist_batch10, 128    784-100-10, the same with mini-batches of 10 and of 128
   deep_batch32          16-32-32-32-4, tanh, the same with mini-batches of 32

   Compile with -DSINGLE for float, without it for double. Written for AVX-512; with AVX2 the same code runs on
   narrower vectors, and without either it is right but slow.
   The net input is x W - theta; inside the kernels a threshold is kept as a bias, -theta.
   A delta is -d loss / d net input, times the learning rate. */
#include <stdint.h>
#include <string.h>
#include <tgmath.h>
#ifdef __AVX512F__
#include <immintrin.h>
enum { VECTOR_BYTES = 64, REGISTERS = 32 };
#else
enum { VECTOR_BYTES = 32, REGISTERS = 16 };
#endif

#ifdef SINGLE
typedef float REAL;
typedef int32_t INTEGER;
enum { MANTISSA_BITS = 23, LARGEST_EXPONENT = 126, DEGREE = 6 };
static const REAL exp2_coefficient[] = {
    1.0f, 6.931472028e-1f, 2.402264791e-1f, 5.550332548e-2f, 9.618437357e-3f, 1.339887440e-3f, 1.535336188e-4f};
#else
typedef double REAL;
typedef int64_t INTEGER;
enum { MANTISSA_BITS = 52, LARGEST_EXPONENT = 1022, DEGREE = 12 };
static const REAL exp2_coefficient[] = {
    1.0, 0.6931471805599453, 0.2402265069591007, 0.055504108664821576, 0.009618129107628477,
    0.0013333558146428441, 0.00015403530393381606, 1.5252733804059838e-05, 1.3215486790144305e-06,
    1.0178086009239696e-07, 7.054911620801121e-09, 4.44553827187081e-10, 2.5678435993488196e-11};
#endif

/* parameters: layer after layer, W (fan_in x fan_out, row by row) and theta. */
typedef struct {
    REAL *parameters;
    const REAL *X, *Y;
    int n_samples, n_epochs;
    REAL eta;
} Training;

enum { LANES = VECTOR_BYTES / sizeof(REAL) };
typedef REAL V __attribute__((vector_size(VECTOR_BYTES)));

#define INLINE static inline __attribute__((always_inline))
#define ALIGNED __attribute__((aligned(VECTOR_BYTES)))
#define UNROLL _Pragma("GCC unroll 16")
#define PADDED(n) (((n) + LANES - 1) / LANES * LANES)

INLINE V load(const REAL *p) { V v; memcpy(&v, p, sizeof v); return v; }
INLINE void store(REAL *p, V v) { memcpy(p, &v, sizeof v); }

/* ---- vector operations that GCC's vector types lack ------------------------------------- */

#ifndef __AVX512F__
INLINE REAL sum_lanes(V v) { REAL sum = 0; for (int l = 0; l < LANES; l++) sum += v[l]; return sum; }
#elif defined(SINGLE)
INLINE REAL sum_lanes(V v) { return _mm512_reduce_add_ps((__m512)v); }
INLINE V round_lanes(V t) { return (V)_mm512_roundscale_ps((__m512)t, 0); }
INLINE V times_power_of_2(V p, V n) { return (V)_mm512_scalef_ps((__m512)p, (__m512)n); }
#else
INLINE REAL sum_lanes(V v) { return _mm512_reduce_add_pd((__m512d)v); }
INLINE V round_lanes(V t) { return (V)_mm512_roundscale_pd((__m512d)t, 0); }
INLINE V times_power_of_2(V p, V n) { return (V)_mm512_scalef_pd((__m512d)p, (__m512d)n); }
#endif

typedef INTEGER Places __attribute__((vector_size(VECTOR_BYTES)));

/* Lane l is lane places[l] of a and b, one after the other. */
INLINE V shuffle(V a, V b, Places places)
{
#ifdef __clang__
    V result;
    for (int l = 0; l < LANES; l++) result[l] = places[l] < LANES ? a[places[l]] : b[places[l] - LANES];
    return result;
#else
    return __builtin_shuffle(a, b, places);
#endif
}

/* Swaps the blocks of step x step beside the diagonal in the square of two rows, step apart. */
INLINE void swap_blocks(V *upper, V *lower, int step)
{
    Places up = {0}, low = {0};
    V a = *upper, b = *lower;
    UNROLL for (int l = 0; l < LANES; l++) {
        up[l] = l & step ? (l ^ step) + LANES : l;
        low[l] = l & step ? l + LANES : l ^ step;
    }
    *upper = shuffle(a, b, up);
    *lower = shuffle(a, b, low);
}

/* Turns a square of LANES rows, in place. */
INLINE void turn(V *rows)
{
    UNROLL for (int step = 1; step < LANES; step *= 2)
        UNROLL for (int r = 0; r < LANES; r++)
            if (!(r & step)) swap_blocks(rows + r, rows + (r | step), step);
}

/* The sums over the lanes of LANES rows, as one vector: turn and add, but each row is dropped once it is added. */
INLINE V sums_of_rows(V *rows)
{
    UNROLL for (int step = 1; step < LANES; step *= 2)
        UNROLL for (int r = 0; r < LANES; r += 2 * step) {
            swap_blocks(rows + r, rows + r + step, step);
            rows[r] += rows[r + step];
        }
    return rows[0];
}

/* ---- exponential and sigmoid: exp(x) = 2^n 2^f, n a whole number, |f| <= 1/2 ------------- */

#define LOG2_E ((REAL)1.4426950408889634)

INLINE REAL fast_exp(REAL x)
{
    REAL t = x * LOG2_E;
    t = t < -LARGEST_EXPONENT ? -LARGEST_EXPONENT : t > LARGEST_EXPONENT ? LARGEST_EXPONENT : t;
    REAL n = rint(t), f = t - n, p = exp2_coefficient[DEGREE];
    UNROLL for (int k = DEGREE - 1; k >= 0; k--) p = p * f + exp2_coefficient[k];
    union { REAL value; INTEGER bits; } scaled = {p};
    scaled.bits += (INTEGER)n << MANTISSA_BITS;
    return scaled.value;
}

INLINE REAL sigmoid(REAL z, int library_exp) { return 1 / (1 + (library_exp ? exp(-z) : fast_exp(-z))); }

#ifdef __AVX512F__
INLINE V vector_sigmoid(V z)
{
    V t = -LOG2_E * z, n = round_lanes(t), f = t - n, p = f * exp2_coefficient[DEGREE] + exp2_coefficient[DEGREE - 1];
    UNROLL for (int k = DEGREE - 2; k >= 0; k--) p = p * f + exp2_coefficient[k];
    return 1 / (1 + times_power_of_2(p, n));
}
#else
INLINE V vector_sigmoid(V z)
{
    ALIGNED REAL lane[LANES];
    store(lane, z);
    for (int l = 0; l < LANES; l++) lane[l] = sigmoid(lane[l], 0);
    return load(lane);
}
#endif

INLINE V vector_tanh(V z) { return 2 * vector_sigmoid(2 * z) - 1; }

/* Turns n net inputs into eta (target - softmax), in place. Entries from n to padded become 0. */
INLINE void softmax_deltas(REAL *net, const REAL *target, REAL eta, int n, int padded)
{
    REAL largest = net[0], sum = 0;
    for (int o = 1; o < n; o++) largest = net[o] > largest ? net[o] : largest;
    for (int o = 0; o < padded; o++) net[o] = fast_exp(net[o] - largest);
    for (int o = 0; o < n; o++) sum += net[o];
    REAL scale = 1 / sum;
    for (int o = 0; o < n; o++) net[o] = eta * (target[o] - net[o] * scale);
    for (int o = n; o < padded; o++) net[o] = 0;
}

/* ---- a small network, update after each sample, squared error, sigmoid outputs ----------- */

INLINE void train_small(const Training *t, int inputs, int hidden, int outputs, int library_exp)
{
    ALIGNED REAL W1[32], bias1[8], W2[32], bias2[8], h[8], delta1[8], delta2[8];   /* W2: outputs x hidden */
    REAL *theta1 = t->parameters + inputs * hidden, *weights2 = theta1 + hidden, *theta2 = weights2 + hidden * outputs;
    const REAL eta = t->eta;

    for (int i = 0; i < inputs * hidden; i++) W1[i] = t->parameters[i];
    for (int j = 0; j < hidden; j++) bias1[j] = -theta1[j];
    for (int o = 0; o < outputs; o++) {
        for (int j = 0; j < hidden; j++) W2[o * hidden + j] = weights2[j * outputs + o];
        bias2[o] = -theta2[o];
    }
    for (int epoch = 0; epoch < t->n_epochs; epoch++)
        for (int s = 0; s < t->n_samples; s++) {
            const REAL *x = t->X + s * inputs, *target = t->Y + s * outputs;
            for (int j = 0; j < hidden; j++) h[j] = bias1[j];
            for (int i = 0; i < inputs; i++)
                for (int j = 0; j < hidden; j++) h[j] += x[i] * W1[i * hidden + j];
            for (int j = 0; j < hidden; j++) h[j] = sigmoid(h[j], library_exp);

            for (int o = 0; o < outputs; o++) {
                delta2[o] = bias2[o];
                for (int j = 0; j < hidden; j++) delta2[o] += W2[o * hidden + j] * h[j];
            }
            for (int o = 0; o < outputs; o++) {
                REAL y = sigmoid(delta2[o], library_exp);
                delta2[o] = eta * (target[o] - y) * y * (1 - y);
            }
            for (int j = 0; j < hidden; j++) delta1[j] = 0;
            for (int o = 0; o < outputs; o++) {
                for (int j = 0; j < hidden; j++) {
                    delta1[j] += delta2[o] * W2[o * hidden + j];
                    W2[o * hidden + j] += delta2[o] * h[j];
                }
                bias2[o] += delta2[o];
            }
            for (int j = 0; j < hidden; j++) {
                delta1[j] *= h[j] * (1 - h[j]);
                bias1[j] += delta1[j];
            }
            for (int i = 0; i < inputs; i++)
                for (int j = 0; j < hidden; j++) W1[i * hidden + j] += x[i] * delta1[j];
        }
    for (int i = 0; i < inputs * hidden; i++) t->parameters[i] = W1[i];
    for (int j = 0; j < hidden; j++) theta1[j] = -bias1[j];
    for (int o = 0; o < outputs; o++) {
        for (int j = 0; j < hidden; j++) weights2[j * outputs + o] = W2[o * hidden + j];
        theta2[o] = -bias2[o];
    }
}

void xor_online(const Training *t) { train_small(t, 2, 2, 1, 1); }
void iris_online(const Training *t) { train_small(t, 4, 8, 3, 0); }

/* ---- a wider network: hidden units in vectors, rows of W1 padded to whole vectors -------- */

enum { MAX_INPUTS = 784, MAX_HIDDEN = 112, MAX_VECTORS = MAX_HIDDEN / LANES, MAX_OUTPUTS = 10 };

/* The layer of outputs, weights as outputs x hidden. */
typedef struct {
    V W[MAX_OUTPUTS][MAX_VECTORS];
    REAL bias[MAX_OUTPUTS];
} Outputs;

typedef struct {
    REAL W1[MAX_INPUTS * MAX_HIDDEN];
    V bias1[MAX_VECTORS], lane_used[MAX_VECTORS];
    Outputs top;
} WideNetwork;

#define COPY(inside, sign, outside) if (to_inside) inside = sign outside; else outside = sign inside

/* Copies weights (hidden x outputs) and thresholds of the outputs in, or back out. */
INLINE void copy_outputs(Outputs *top, REAL *weights, int to_inside, int hidden, int outputs)
{
    REAL *theta = weights + hidden * outputs;
    for (int o = 0; o < outputs; o++) {
        for (int j = 0; j < hidden; j++) COPY(top->W[o][j / LANES][j % LANES], +, weights[j * outputs + o]);
        COPY(top->bias[o], -, theta[o]);
    }
}

/* Copies parameters into the network, or the network into parameters. */
INLINE void copy_wide(WideNetwork *net, REAL *parameters, int to_inside, int inputs, int hidden, int outputs)
{
    const int padded = PADDED(hidden);
    REAL *theta1 = parameters + inputs * hidden;
    for (int i = 0; i < inputs; i++)
        for (int j = 0; j < hidden; j++) COPY(net->W1[i * padded + j], +, parameters[i * hidden + j]);
    for (int j = 0; j < hidden; j++) {
        COPY(net->bias1[j / LANES][j % LANES], -, theta1[j]);
        net->lane_used[j / LANES][j % LANES] = 1;
    }
    copy_outputs(&net->top, theta1 + hidden, to_inside, hidden, outputs);
}

/* From the hidden outputs h to errors, the sums over outputs of delta times weight; updates the layer of outputs. */
INLINE void through_outputs(Outputs *top, const V *h, V *errors, const REAL *target, REAL eta, int vectors, int outputs)
{
    REAL delta[MAX_OUTPUTS];
    UNROLL for (int o = 0; o < outputs; o++) {
        V products = top->W[o][0] * h[0];
        UNROLL for (int v = 1; v < vectors; v++) products += top->W[o][v] * h[v];
        delta[o] = top->bias[o] + sum_lanes(products);
    }
    softmax_deltas(delta, target, eta, outputs, outputs);
    UNROLL for (int v = 0; v < vectors; v++) {
        errors[v] = (V){0};
        UNROLL for (int o = 0; o < outputs; o++) {
            errors[v] += delta[o] * top->W[o][v];
            top->W[o][v] += delta[o] * h[v];
        }
    }
    UNROLL for (int o = 0; o < outputs; o++) top->bias[o] += delta[o];
}

/* From the hidden net inputs z to delta1; updates everything but W1. */
INLINE void upper_part(WideNetwork *net, const V *z, V *delta1, const REAL *target, REAL eta, int vectors, int outputs)
{
    V h[MAX_VECTORS], errors[MAX_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) h[v] = vector_sigmoid(z[v]) * net->lane_used[v];
    through_outputs(&net->top, h, errors, target, eta, vectors, outputs);
    UNROLL for (int v = 0; v < vectors; v++) {
        delta1[v] = errors[v] * h[v] * (1 - h[v]);
        net->bias1[v] += delta1[v];
    }
}

/* W is read and written once per sample: each row first takes the update for sample x, then adds its share to the
   net inputs z of the following sample. Rows go into `chains` separate sums, so that a narrow layer does not wait for
   its additions. */
INLINE void update_then_forward(REAL *W, const V *bias, const REAL *x, const V *delta, const REAL *following, V *z,
                                int inputs, int vectors)
{
    enum { MAX_CHAINS = 4 };
    const int chains = vectors <= 2 ? 4 : vectors <= 4 ? 2 : 1;
    V sums[MAX_CHAINS][MAX_VECTORS];
    UNROLL for (int c = 0; c < chains; c++)
        UNROLL for (int v = 0; v < vectors; v++) sums[c][v] = c ? (V){0} : bias[v];
    for (int i = 0; i < inputs; i += chains)
        UNROLL for (int c = 0; c < chains; c++)
            UNROLL for (int v = 0; v < vectors; v++) {
                REAL *weights = W + ((i + c) * vectors + v) * LANES;
                V updated = load(weights) + x[i + c] * delta[v];
                store(weights, updated);
                sums[c][v] += following[i + c] * updated;
            }
    UNROLL for (int v = 0; v < vectors; v++) {
        z[v] = sums[0][v];
        UNROLL for (int c = 1; c < chains; c++) z[v] += sums[c][v];
    }
}

INLINE void train_wide(const Training *t, int inputs, int hidden, int outputs)
{
    ALIGNED WideNetwork net = {0};
    const int vectors = PADDED(hidden) / LANES;
    V z[MAX_VECTORS], delta1[MAX_VECTORS] = {0};
    copy_wide(&net, t->parameters, 1, inputs, hidden, outputs);
    update_then_forward(net.W1, net.bias1, t->X, delta1, t->X, z, inputs, vectors);
    for (int epoch = 0; epoch < t->n_epochs; epoch++)
        for (int s = 0; s < t->n_samples; s++) {
            const REAL *x = t->X + s * inputs, *following = s + 1 < t->n_samples ? x + inputs : t->X;
            upper_part(&net, z, delta1, t->Y + s * outputs, t->eta, vectors, outputs);
            update_then_forward(net.W1, net.bias1, x, delta1, following, z, inputs, vectors);
        }
    copy_wide(&net, t->parameters, 0, inputs, hidden, outputs);
}

void digits_online(const Training *t) { train_wide(t, 64, 32, 10); }
void mnist_online(const Training *t) { train_wide(t, 784, 100, 10); }

INLINE void train_sparse(const Training *t, int inputs, int hidden, int outputs)
{
    ALIGNED WideNetwork net = {0};
    const int vectors = PADDED(hidden) / LANES;
    V z[MAX_VECTORS], delta1[MAX_VECTORS];
    int used[MAX_INPUTS];
    copy_wide(&net, t->parameters, 1, inputs, hidden, outputs);
    for (int epoch = 0; epoch < t->n_epochs; epoch++)
        for (int s = 0; s < t->n_samples; s++) {
            const REAL *x = t->X + s * inputs;
            int n_used = 0;
            for (int i = 0; i < inputs; i++) {
                used[n_used] = i;
                n_used += x[i] != 0;
            }
            UNROLL for (int v = 0; v < vectors; v++) z[v] = net.bias1[v];
            for (int u = 0; u < n_used; u++)
                UNROLL for (int v = 0; v < vectors; v++)
                    z[v] += x[used[u]] * load(net.W1 + (used[u] * vectors + v) * LANES);
            upper_part(&net, z, delta1, t->Y + s * outputs, t->eta, vectors, outputs);
            for (int u = 0; u < n_used; u++)
                UNROLL for (int v = 0; v < vectors; v++) {
                    REAL *weights = net.W1 + (used[u] * vectors + v) * LANES;
                    store(weights, load(weights) + x[used[u]] * delta1[v]);
                }
        }
    copy_wide(&net, t->parameters, 0, inputs, hidden, outputs);
}

void mnist_sparse_online(const Training *t) { train_sparse(t, 784, 100, 10); }

/* ---- a deep network of tanh units, everything in the first-level cache -------------------- */

enum { DEEP = 3, DEEP_INPUTS = 16, DEEP_UNITS = 32, DEEP_VECTORS = DEEP_UNITS / LANES, DEEP_OUTPUTS = 4 };

typedef struct {
    ALIGNED REAL W[DEEP_UNITS * DEEP_UNITS];
    V bias[DEEP_VECTORS], delta[DEEP_VECTORS];
} DeepLayer;

INLINE void copy_deep(DeepLayer *layers, Outputs *top, REAL *parameters, int to_inside)
{
    for (int l = 0; l < DEEP; l++) {
        const int inputs = l ? DEEP_UNITS : DEEP_INPUTS;
        REAL *theta = parameters + inputs * DEEP_UNITS;
        for (int p = 0; p < inputs * DEEP_UNITS; p++) COPY(layers[l].W[p], +, parameters[p]);
        for (int j = 0; j < DEEP_UNITS; j++) COPY(layers[l].bias[j / LANES][j % LANES], -, theta[j]);
        parameters = theta + DEEP_UNITS;
    }
    copy_outputs(top, parameters, to_inside, DEEP_UNITS, DEEP_OUTPUTS);
}

/* Sums the errors of the units below over the weights, row by row. */
INLINE void backward(const REAL *W, const V *delta, V *errors)
{
    UNROLL for (int block = 0; block < DEEP_VECTORS; block++) {
        V rows[LANES];
        UNROLL for (int r = 0; r < LANES; r++) {
            const REAL *w = W + (block * LANES + r) * DEEP_UNITS;
            rows[r] = load(w) * delta[0];
            UNROLL for (int v = 1; v < DEEP_VECTORS; v++) rows[r] += load(w + v * LANES) * delta[v];
        }
        errors[block] = sums_of_rows(rows);
    }
}

/* W of a layer takes the update for the sample before just before its use. */
INLINE void deep_forward(DeepLayer *layers, const REAL *x, const REAL *x_before, V b[DEEP][DEEP_VECTORS],
                         V b_before[DEEP][DEEP_VECTORS])
{
    UNROLL for (int l = 0; l < DEEP; l++) {
        V z[DEEP_VECTORS];
        const REAL *below = l ? (const REAL *)b[l - 1] : x, *before = l ? (const REAL *)b_before[l - 1] : x_before;
        update_then_forward(layers[l].W, layers[l].bias, before, layers[l].delta, below, z,
                            l ? DEEP_UNITS : DEEP_INPUTS, DEEP_VECTORS);
        UNROLL for (int v = 0; v < DEEP_VECTORS; v++) b[l][v] = vector_tanh(z[v]);
    }
}

INLINE void deep_backward(DeepLayer *layers, V b[DEEP][DEEP_VECTORS], V *errors)
{
    UNROLL for (int l = DEEP - 1; l >= 0; l--) {
        UNROLL for (int v = 0; v < DEEP_VECTORS; v++) {
            layers[l].delta[v] = errors[v] * (1 - b[l][v] * b[l][v]);
            layers[l].bias[v] += layers[l].delta[v];
        }
        if (l) backward(layers[l].W, layers[l].delta, errors);
    }
}

void deep_online(const Training *t)
{
    DeepLayer layers[DEEP] = {0};
    Outputs top = {0};
    V b[2][DEEP][DEEP_VECTORS] = {0}, errors[DEEP_VECTORS];
    const REAL *x_before = t->X;
    int now = 0;
    copy_deep(layers, &top, t->parameters, 1);
    for (int epoch = 0; epoch < t->n_epochs; epoch++)
        for (int s = 0; s < t->n_samples; s++) {
            const REAL *x = t->X + s * DEEP_INPUTS;
            deep_forward(layers, x, x_before, b[now], b[!now]);
            through_outputs(&top, b[now][DEEP - 1], errors, t->Y + s * DEEP_OUTPUTS, t->eta, DEEP_VECTORS,
                            DEEP_OUTPUTS);
            deep_backward(layers, b[now], errors);
            x_before = x;
            now = !now;
        }
    deep_forward(layers, x_before, x_before, b[now], b[!now]);   /* the update for the last sample */
    copy_deep(layers, &top, t->parameters, 0);
}

/* ---- mini-batches: three matrix products, all made of one register tile ------------------ */

enum { TILE_ROWS = 10, TILE_VECTORS = 2 };

/* C[r][c] += sum_k A[r * a_row + k * a_step] B[k][c] over rows x (vectors * LANES) elements of C,
   whose sums stay in registers. */
INLINE void tile(REAL *C, int c_stride, const REAL *A, int a_row, int a_step, const REAL *B, int b_stride,
                 int depth, int rows, int vectors)
{
    V sums[TILE_ROWS][TILE_VECTORS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = load(C + r * c_stride + v * LANES);
    for (int k = 0; k < depth; k++)
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < vectors; v++)
                sums[r][v] += A[r * a_row + k * a_step] * load(B + k * b_stride + v * LANES);
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) store(C + r * c_stride + v * LANES, sums[r][v]);
}

/* The same for a whole matrix: rows a multiple of 8 or of 10, columns of LANES. */
INLINE void add_product(REAL *C, int c_stride, const REAL *A, int a_row, int a_step, const REAL *B, int b_stride,
                        int depth, int rows, int columns)
{
    const int tile_rows = (rows % 8 ? 10 : 8) * REGISTERS / 32, wide = TILE_VECTORS * LANES;
    int c = 0;
    for (; c + wide <= columns; c += wide)
        for (int r = 0; r < rows; r += tile_rows)
            tile(C + r * c_stride + c, c_stride, A + r * a_row, a_row, a_step, B + c, b_stride,
                 depth, tile_rows, TILE_VECTORS);
    if (c < columns)
        for (int r = 0; r < rows; r += tile_rows)
            tile(C + r * c_stride + c, c_stride, A + r * a_row, a_row, a_step, B + c, b_stride,
                 depth, tile_rows, 1);
}

INLINE void fill_rows(REAL *rows, const REAL *row, int n, int columns)
{
    for (int r = 0; r < n; r++) memcpy(rows + r * columns, row, columns * sizeof(REAL));
}

INLINE void add_rows(REAL *sum, const REAL *rows, int n, int columns)
{
    for (int c = 0; c < columns; c += LANES) {
        V total = load(sum + c);
        for (int r = 0; r < n; r++) total += load(rows + r * columns + c);
        store(sum + c, total);
    }
}

enum { MAX_BATCH = 128, PADDED_OUTPUTS = 16 };

/* Padded columns of W1, W2 stay zero: their deltas are zero. */
INLINE void train_batches(const Training *t, int inputs, int hidden, int outputs, int batch)
{
    static ALIGNED REAL W1[MAX_INPUTS * MAX_HIDDEN], W2[MAX_HIDDEN * PADDED_OUTPUTS];
    static ALIGNED REAL W2_turned[MAX_OUTPUTS * MAX_HIDDEN];
    static ALIGNED REAL H[MAX_BATCH * MAX_HIDDEN], delta1[MAX_BATCH * MAX_HIDDEN], delta2[MAX_BATCH * PADDED_OUTPUTS];
    ALIGNED REAL bias1[MAX_HIDDEN] = {0}, bias2[PADDED_OUTPUTS] = {0};
    const int width = PADDED(hidden), out = PADDED_OUTPUTS;
    const REAL step = t->eta / batch;
    REAL *theta1 = t->parameters + inputs * hidden, *weights2 = theta1 + hidden, *theta2 = weights2 + hidden * outputs;

    memset(W1, 0, sizeof W1);
    memset(W2, 0, sizeof W2);
    memset(W2_turned, 0, sizeof W2_turned);
    for (int i = 0; i < inputs; i++) memcpy(W1 + i * width, t->parameters + i * hidden, hidden * sizeof(REAL));
    for (int j = 0; j < hidden; j++) memcpy(W2 + j * out, weights2 + j * outputs, outputs * sizeof(REAL));
    for (int j = 0; j < hidden; j++) bias1[j] = -theta1[j];
    for (int o = 0; o < outputs; o++) bias2[o] = -theta2[o];

    for (int epoch = 0; epoch < t->n_epochs; epoch++)
        for (int s = 0; s + batch <= t->n_samples; s += batch) {
            const REAL *x = t->X + (long)s * inputs;
            fill_rows(H, bias1, batch, width);
            add_product(H, width, x, inputs, 1, W1, width, inputs, batch, width);
            for (int q = 0; q < batch * width; q++) H[q] = sigmoid(H[q], 0);

            fill_rows(delta2, bias2, batch, out);
            add_product(delta2, out, H, width, 1, W2, out, hidden, batch, out);
            for (int r = 0; r < batch; r++)
                softmax_deltas(delta2 + r * out, t->Y + (long)(s + r) * outputs, step, outputs, out);

            for (int j = 0; j < hidden; j++)
                for (int o = 0; o < outputs; o++) W2_turned[o * width + j] = W2[j * out + o];
            memset(delta1, 0, batch * width * sizeof(REAL));
            add_product(delta1, width, delta2, out, 1, W2_turned, width, outputs, batch, width);
            for (int q = 0; q < batch * width; q++) delta1[q] *= H[q] * (1 - H[q]);

            add_product(W2, out, H, 1, width, delta2, out, batch, hidden, out);
            add_product(W1, width, x, 1, inputs, delta1, width, batch, inputs, width);
            add_rows(bias2, delta2, batch, out);
            add_rows(bias1, delta1, batch, width);
        }
    for (int i = 0; i < inputs; i++) memcpy(t->parameters + i * hidden, W1 + i * width, hidden * sizeof(REAL));
    for (int j = 0; j < hidden; j++) memcpy(weights2 + j * outputs, W2 + j * out, outputs * sizeof(REAL));
    for (int j = 0; j < hidden; j++) theta1[j] = -bias1[j];
    for (int o = 0; o < outputs; o++) theta2[o] = -bias2[o];
}

void digits_batch32(const Training *t) { train_batches(t, 64, 32, 10, 32); }
void mnist_batch10(const Training *t) { train_batches(t, 784, 100, 10, 10); }
void mnist_batch128(const Training *t) { train_batches(t, 784, 100, 10, 128); }

/* ---- mini-batches of the deep network ------------------------------------------------------ */

enum { DEEP_BATCH = 32, DEEP_COLUMNS = PADDED(DEEP_OUTPUTS), DEEP_CELLS = DEEP_UNITS * DEEP_BATCH };

/* W and bias of a layer; activations and deltas as samples x units. */
typedef struct {
    ALIGNED REAL W[DEEP_UNITS * DEEP_UNITS], bias[DEEP_UNITS], b[DEEP_CELLS], delta[DEEP_CELLS];
} DeepBatchLayer;

/* Layer l has deep_width(l) columns, the last ones of the layer of outputs zero: their deltas are. */
INLINE int deep_width(int l) { return l == DEEP ? DEEP_COLUMNS : DEEP_UNITS; }
INLINE int deep_fan_in(int l) { return l ? DEEP_UNITS : DEEP_INPUTS; }

INLINE void copy_deep_batch(DeepBatchLayer *layers, REAL *parameters, int to_inside)
{
    for (int l = 0; l <= DEEP; l++) {
        const int units = l == DEEP ? DEEP_OUTPUTS : DEEP_UNITS;
        for (int i = 0; i < deep_fan_in(l); i++)
            for (int j = 0; j < units; j++) COPY(layers[l].W[i * deep_width(l) + j], +, parameters[i * units + j]);
        parameters += deep_fan_in(l) * units;
        for (int j = 0; j < units; j++) COPY(layers[l].bias[j], -, parameters[j]);
        parameters += units;
    }
}

/* delta of the layer below from that of layer, through the turned weights. */
INLINE void deep_batch_backward(const DeepBatchLayer *layer, DeepBatchLayer *below, int width, int units)
{
    ALIGNED REAL turned[DEEP_UNITS * DEEP_UNITS];
    for (int i = 0; i < DEEP_UNITS; i += LANES)
        for (int j = 0; j < width; j += LANES) {
            V rows[LANES];
            UNROLL for (int r = 0; r < LANES; r++) rows[r] = load(layer->W + (i + r) * width + j);
            turn(rows);
            UNROLL for (int r = 0; r < LANES; r++) store(turned + (j + r) * DEEP_UNITS + i, rows[r]);
        }
    memset(below->delta, 0, sizeof below->delta);
    add_product(below->delta, DEEP_UNITS, layer->delta, width, 1, turned, DEEP_UNITS, units, DEEP_BATCH, DEEP_UNITS);
    for (int q = 0; q < DEEP_CELLS; q++) below->delta[q] *= 1 - below->b[q] * below->b[q];
}

void deep_batch32(const Training *t)
{
    static DeepBatchLayer layers[DEEP + 1];
    memset(layers, 0, sizeof layers);
    copy_deep_batch(layers, t->parameters, 1);
    for (int epoch = 0; epoch < t->n_epochs; epoch++)
        for (int s = 0; s + DEEP_BATCH <= t->n_samples; s += DEEP_BATCH) {
            const REAL *x = t->X + s * DEEP_INPUTS;
            UNROLL for (int l = 0; l < DEEP; l++) {
                fill_rows(layers[l].b, layers[l].bias, DEEP_BATCH, DEEP_UNITS);
                add_product(layers[l].b, DEEP_UNITS, l ? layers[l - 1].b : x, deep_fan_in(l), 1, layers[l].W,
                            DEEP_UNITS, deep_fan_in(l), DEEP_BATCH, DEEP_UNITS);
                for (int q = 0; q < DEEP_CELLS; q += LANES) store(layers[l].b + q, vector_tanh(load(layers[l].b + q)));
            }
            DeepBatchLayer *top = layers + DEEP;
            fill_rows(top->delta, top->bias, DEEP_BATCH, DEEP_COLUMNS);
            add_product(top->delta, DEEP_COLUMNS, layers[DEEP - 1].b, DEEP_UNITS, 1, top->W, DEEP_COLUMNS, DEEP_UNITS,
                        DEEP_BATCH, DEEP_COLUMNS);
            for (int r = 0; r < DEEP_BATCH; r++)
                softmax_deltas(top->delta + r * DEEP_COLUMNS, t->Y + (s + r) * DEEP_OUTPUTS, t->eta / DEEP_BATCH,
                               DEEP_OUTPUTS, DEEP_COLUMNS);

            deep_batch_backward(top, layers + DEEP - 1, DEEP_COLUMNS, DEEP_OUTPUTS);
            UNROLL for (int l = DEEP - 1; l > 0; l--)
                deep_batch_backward(layers + l, layers + l - 1, DEEP_UNITS, DEEP_UNITS);
            UNROLL for (int l = 0; l <= DEEP; l++) {
                add_product(layers[l].W, deep_width(l), l ? layers[l - 1].b : x, 1, deep_fan_in(l), layers[l].delta,
                            deep_width(l), DEEP_BATCH, deep_fan_in(l), deep_width(l));
                add_rows(layers[l].bias, layers[l].delta, DEEP_BATCH, deep_width(l));
            }
        }
    copy_deep_batch(layers, t->parameters, 0);
}
