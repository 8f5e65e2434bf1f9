/* One pass over a tensor's memory for its sum of squares, largest |x|, zeros and non-finite entries; strided samples.
 *
 * Tensors are read through torch's DLPack exchange table (`torch.Tensor.__dlpack_c_exchange_api__`, torch 2.10 and
 * later), which gives address, type, shape and strides in one call of some 20 ns, where the attributes of a Python
 * tensor cost 300. For older versions of torch, Python collects the addresses. Whatever cannot be read here (another
 * device, a subclass, a sparse or integer tensor) is left to the caller, by position.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- DLPack 1.x, the part that is needed (https://dmlc.github.io/dlpack) ---- */

typedef struct { uint32_t major, minor; } DLPackVersion;
typedef struct { int32_t device_type, device_id; } DLDevice;
typedef struct { uint8_t code, bits; uint16_t lanes; } DLDataType;
typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} DLTensor;
typedef struct DLPackExchangeAPI {
    DLPackVersion version;
    struct DLPackExchangeAPI *older;
    void *allocate, *managed_from_object, *managed_to_object;
    int (*tensor_from_object)(void *object, DLTensor *out); /* borrows: valid while the object lives */
    void *current_stream;
} DLPackExchangeAPI;

enum { DL_CPU = 1, DL_CUDA_HOST = 3, DL_ROCM_HOST = 11 };
enum { DL_FLOAT = 2, DL_BFLOAT = 4 };
enum { FLOAT32, FLOAT64, FLOAT16, BFLOAT16, UNREADABLE };
enum { MOST_DIMENSIONS = 16, LARGE = 1 << 18 };

typedef struct {
    const void *data;
    int64_t count;
    Py_ssize_t position;
    int type;
} Block;

typedef struct {
    double sum_squares, largest;
    int64_t zeros, nonfinite;
} Statistics;

/* ---- arithmetic: steps of 16 entries, squared and added in float64 on four independent vector registers ---- */

#if !defined(__GNUC__) && !defined(__clang__)
#error "needs the vector extensions of GCC or Clang; livegrad works without this module"
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors are only passed between functions that are inlined */
#endif
#define INLINE static inline __attribute__((always_inline))
#ifdef __x86_64__
#include <immintrin.h>
static int fast = 0; /* whether this processor has AVX2 and FMA */
#else
static const int fast = 0;
#endif

typedef double Doubles __attribute__((vector_size(32)));
typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Words __attribute__((vector_size(16)));
typedef uint16_t Halves __attribute__((vector_size(8)));

enum {
    STEP = 16,
    RUN = 32767, /* zeros are counted in lanes as wide as an entry: at most so many steps at a time */
    AHEAD = 4096 /* bytes to fetch in advance: with this much arithmetic, too few loads are in flight by themselves */
};

/* Four entries as doubles. A compiler chooses instructions function by function, so this exists once for each TARGET.
 * GCC 12 splits the generic conversions, hence the instructions by name (0.14 ns for a float32 instead of 0.22). */
#define DEFINE_WIDEN(SUFFIX, TARGET, TO_DOUBLES)                                                             \
    TARGET INLINE Doubles widen_float64##SUFFIX(const void *x) {                                             \
        Doubles value;                                                                                       \
        memcpy(&value, x, sizeof value);                                                                     \
        return value;                                                                                        \
    }                                                                                                        \
    TARGET INLINE Doubles widen_float32##SUFFIX(const void *x) {                                             \
        Floats value;                                                                                        \
        memcpy(&value, x, sizeof value);                                                                     \
        return TO_DOUBLES(value);                                                                            \
    }                                                                                                        \
    TARGET INLINE Doubles widen_bfloat16##SUFFIX(const void *x) {                                            \
        return TO_DOUBLES((Floats)(load_halves##SUFFIX(x) << 16));                                           \
    }                                                                                                        \
    /* The bits of a half, moved into a float's places, are |x| / 2^112; inf and NaN come out wrong: see below. */\
    TARGET INLINE Doubles widen_float16##SUFFIX(const void *x) {                                             \
        return TO_DOUBLES((Floats)((load_halves##SUFFIX(x) & 0x7fff) << 13) * 0x1p112f);                     \
    }

/* |x| as an integer orders like |x|, with inf and NaN on top: its maximum shows whether anything is not finite. */
#define DEFINE_PASS(TYPE, BITS, SIGN, SUFFIX, TARGET)                                                        \
    TARGET INLINE void TYPE##_step##SUFFIX(const BITS *x, TYPE##_lanes *to) {                                \
        for (int group = 0; group < 4; group++) {                                                            \
            Doubles value = widen_##TYPE##SUFFIX(x + 4 * group);                                             \
            to->squares[group] += value * value;                                                             \
        }                                                                                                    \
        for (int i = 0; i < STEP; i += 32 / (int)sizeof(BITS)) {                                             \
            TYPE##_bits bits;                                                                                \
            memcpy(&bits, x + i, sizeof bits);                                                               \
            bits &= (BITS)~SIGN;                                                                             \
            TYPE##_bits larger = bits > to->largest;                                                         \
            to->largest = (bits & larger) | (to->largest & ~larger);                                         \
            to->none -= bits == 0;                                                                           \
        }                                                                                                    \
    }                                                                                                        \
    TARGET static BITS TYPE##_pass##SUFFIX(const BITS *x, int64_t count, double *sum, int64_t *zeros) {      \
        TYPE##_lanes lanes;                                                                                  \
        memset(&lanes, 0, sizeof lanes);                                                                     \
        int64_t steps = count / STEP, rest = count % STEP;                                                   \
        while (steps) {                                                                                      \
            int64_t run = steps < RUN ? steps : RUN;                                                         \
            for (int64_t i = 0; i < run; i++, x += STEP) {                                                   \
                __builtin_prefetch((const char *)x + AHEAD);                                                 \
                TYPE##_step##SUFFIX(x, &lanes);                                                              \
            }                                                                                                \
            for (int i = 0; i < 32 / (int)sizeof(BITS); i++) *zeros += lanes.none[i];                        \
            memset(&lanes.none, 0, sizeof lanes.none);                                                       \
            steps -= run;                                                                                    \
        }                                                                                                    \
        if (rest) {                                                                                          \
            BITS padded[STEP] = {0};                                                                         \
            for (int64_t i = 0; i < rest; i++) padded[i] = x[i];                                             \
            TYPE##_step##SUFFIX(padded, &lanes);                                                             \
            for (int i = 0; i < 32 / (int)sizeof(BITS); i++) *zeros += lanes.none[i];                        \
            *zeros -= STEP - rest;                                                                           \
        }                                                                                                    \
        Doubles squares = (lanes.squares[0] + lanes.squares[1]) + (lanes.squares[2] + lanes.squares[3]);     \
        *sum = (squares[0] + squares[1]) + (squares[2] + squares[3]);                                        \
        BITS top = 0;                                                                                        \
        for (int i = 0; i < 32 / (int)sizeof(BITS); i++) top = lanes.largest[i] > top ? lanes.largest[i] : top;\
        return top;                                                                                          \
    }

#define PLAIN
#define PLAIN_DOUBLES(floats) __builtin_convertvector(floats, Doubles)
INLINE Words load_halves(const void *x) {
    Halves value;
    memcpy(&value, x, sizeof value);
    return __builtin_convertvector(value, Words);
}
DEFINE_WIDEN(, PLAIN, PLAIN_DOUBLES)
#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_DOUBLES(floats) ((Doubles)_mm256_cvtps_pd((__m128)(floats)))
AVX2 INLINE Words load_halves_avx2(const void *x) { return (Words)_mm_cvtepu16_epi32(_mm_loadl_epi64(x)); }
DEFINE_WIDEN(_avx2, AVX2, AVX2_DOUBLES)
#define DEFINE_FASTER(TYPE, BITS, SIGN) DEFINE_PASS(TYPE, BITS, SIGN, _avx2, AVX2)
#define CHOOSE(TYPE) (fast ? TYPE##_pass_avx2 : TYPE##_pass)
#else
#define DEFINE_FASTER(TYPE, BITS, SIGN)
#define CHOOSE(TYPE) TYPE##_pass
#endif

#define DEFINE_REDUCE(TYPE, BITS, SIGN, INFINITE)                                                            \
    typedef BITS TYPE##_bits __attribute__((vector_size(32)));                                               \
    typedef struct {                                                                                         \
        Doubles squares[4];                                                                                  \
        TYPE##_bits largest, none;                                                                           \
    } TYPE##_lanes;                                                                                          \
    DEFINE_PASS(TYPE, BITS, SIGN, , PLAIN)                                                                   \
    DEFINE_FASTER(TYPE, BITS, SIGN)                                                                          \
    static Statistics reduce_##TYPE(const BITS *x, int64_t count) {                                          \
        Statistics out = {0, 0, 0, 0};                                                                       \
        BITS top = CHOOSE(TYPE)(x, count, &out.sum_squares, &out.zeros);                                     \
        if (top >= INFINITE) { /* rare: look again, entry by entry */                                        \
            int undefined = 0;                                                                               \
            top = 0;                                                                                         \
            for (int64_t i = 0; i < count; i++) {                                                            \
                BITS bits = x[i] & (BITS)~SIGN;                                                              \
                if (bits < INFINITE) {                                                                       \
                    top = bits > top ? bits : top;                                                           \
                } else {                                                                                     \
                    out.nonfinite++;                                                                         \
                    undefined |= bits > INFINITE;                                                            \
                }                                                                                            \
            }                                                                                                \
            out.sum_squares = undefined ? (double)NAN : (double)INFINITY;                                    \
        }                                                                                                    \
        BITS padded[STEP] = {top};                                                                           \
        out.largest = widen_##TYPE(padded)[0];                                                               \
        return out;                                                                                          \
    }

DEFINE_REDUCE(float32, int32_t, 0x80000000u, 0x7f800000)
DEFINE_REDUCE(float64, int64_t, 0x8000000000000000ull, 0x7ff0000000000000ll)
DEFINE_REDUCE(float16, int16_t, 0x8000u, 0x7c00)
DEFINE_REDUCE(bfloat16, int16_t, 0x8000u, 0x7f80)

static Statistics reduce_block(const Block *block) {
    switch (block->type) {
    case FLOAT32: return reduce_float32(block->data, block->count);
    case FLOAT64: return reduce_float64(block->data, block->count);
    case FLOAT16: return reduce_float16(block->data, block->count);
    default: return reduce_bfloat16(block->data, block->count);
    }
}

static double entry(const void *data, int type, int64_t offset) {
    int16_t padded[4] = {0};
    uint16_t half;
    switch (type) {
    case FLOAT32: return ((const float *)data)[offset];
    case FLOAT64: return ((const double *)data)[offset];
    case BFLOAT16:
        padded[0] = ((const int16_t *)data)[offset];
        return widen_bfloat16(padded)[0];
    default:
        half = ((const uint16_t *)data)[offset];
        padded[0] = (int16_t)half;
        double size = widen_float16(padded)[0];
        if ((half & 0x7c00) == 0x7c00) size = half & 0x3ff ? (double)NAN : (double)INFINITY;
        return half >> 15 ? -size : size;
    }
}

/* ---- reading tensors ---- */

static const DLPackExchangeAPI *exchange = NULL;
static PyObject *tensor_type = NULL, *parameter_type = NULL;

static int type_of(DLDataType dtype) {
    if (dtype.lanes != 1) return UNREADABLE;
    if (dtype.code == DL_BFLOAT && dtype.bits == 16) return BFLOAT16;
    if (dtype.code != DL_FLOAT) return UNREADABLE;
    return dtype.bits == 32 ? FLOAT32 : dtype.bits == 64 ? FLOAT64 : dtype.bits == 16 ? FLOAT16 : UNREADABLE;
}

/* Only plain tensors and parameters: a subclass may keep its entries elsewhere. */
static int read_tensor(PyObject *object, DLTensor *tensor) {
    PyObject *type = (PyObject *)Py_TYPE(object);
    if (!exchange || (type != tensor_type && type != parameter_type)) return UNREADABLE;
    if (exchange->tensor_from_object(object, tensor) != 0) {
        PyErr_Clear();
        return UNREADABLE;
    }
    int32_t device = tensor->device.device_type;
    if (device != DL_CPU && device != DL_CUDA_HOST && device != DL_ROCM_HOST) return UNREADABLE;
    if (tensor->ndim > MOST_DIMENSIONS) return UNREADABLE;
    return type_of(tensor->dtype);
}

static int64_t count_entries(const DLTensor *tensor) {
    int64_t count = 1;
    for (int32_t d = 0; d < tensor->ndim; d++) count *= tensor->shape[d];
    return count;
}

/* Whether the entries fill one stretch of memory, in any order of dimensions, each once. */
static int is_dense(const DLTensor *tensor) {
    if (!tensor->strides) return 1;
    int64_t expected = 1;
    int32_t d = tensor->ndim - 1;
    for (; d >= 0 && (tensor->shape[d] == 1 || tensor->strides[d] == expected); d--) expected *= tensor->shape[d];
    if (d < 0) return 1;
    int left[MOST_DIMENSIONS], n = 0;
    for (d = 0; d < tensor->ndim; d++)
        if (tensor->shape[d] != 1) left[n++] = d;
    for (expected = 1; n; n--) {
        int found = -1;
        for (int i = 0; i < n; i++)
            if (tensor->strides[left[i]] == expected) found = i;
        if (found < 0) return 0;
        expected *= tensor->shape[left[found]];
        left[found] = left[n - 1];
    }
    return 1;
}

static const void *first_entry(const DLTensor *tensor) { return (const char *)tensor->data + tensor->byte_offset; }

static int append_position(PyObject *left, Py_ssize_t position) {
    PyObject *number = PyLong_FromSsize_t(position);
    int failed = !number || PyList_Append(left, number) != 0;
    Py_XDECREF(number);
    return failed ? -1 : 0;
}

static int get_buffer(PyObject *object, Py_buffer *view, Py_ssize_t bytes, int flags, const char *name) {
    if (PyObject_GetBuffer(object, view, flags | PyBUF_C_CONTIGUOUS) != 0) return -1;
    if (view->len >= bytes) return 0;
    PyErr_Format(PyExc_ValueError, "%s holds %zd bytes, %zd are needed", name, view->len, bytes);
    PyBuffer_Release(view);
    return -1;
}

static void run_blocks(const Block *blocks, Py_ssize_t number, double *columns, Py_ssize_t n) {
    for (Py_ssize_t b = 0; b < number; b++) {
        Statistics s = reduce_block(&blocks[b]);
        double *column = columns + blocks[b].position;
        column[0] = s.sum_squares;
        column[n] = s.largest;
        column[2 * n] = (double)s.zeros;
        column[3 * n] = (double)s.nonfinite;
    }
}

/* Other threads may run while much memory is read; for little, the handover would cost more than the reading. */
static void run_blocks_politely(const Block *blocks, Py_ssize_t number, double *columns, Py_ssize_t n) {
    int64_t total = 0;
    for (Py_ssize_t b = 0; b < number; b++) total += blocks[b].count;
    if (total < LARGE) {
        run_blocks(blocks, number, columns, n);
        return;
    }
    Py_BEGIN_ALLOW_THREADS
    run_blocks(blocks, number, columns, n);
    Py_END_ALLOW_THREADS
}

PyDoc_STRVAR(bind_doc, "bind(capsule, tensor_type, parameter_type) -> bool\n\n"
                       "Use torch's DLPack exchange table; False if its version is not one this module can read.");
static PyObject *bind(PyObject *module, PyObject *arguments) {
    PyObject *capsule, *tensor, *parameter;
    if (!PyArg_ParseTuple(arguments, "OOO", &capsule, &tensor, &parameter)) return NULL;
    const DLPackExchangeAPI *table = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
    if (!table) return NULL;
    while (table && table->version.major != 1) table = table->older;
    if (!table || !table->tensor_from_object) Py_RETURN_FALSE;
    Py_INCREF(tensor);
    Py_INCREF(parameter);
    tensor_type = tensor;
    parameter_type = parameter;
    exchange = table;
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(reduce_doc, "reduce(tensors, columns) -> positions left\n\n"
                         "Fill columns, float64 (4, n): sum of squares, largest finite |x|, zeros, non-finite entries\n"
                         "(-1 for None).");
static PyObject *reduce(PyObject *module, PyObject *arguments) {
    PyObject *tensors, *out, *left = NULL;
    Py_buffer columns;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyList_Type, &tensors, &out)) return NULL;
    Py_ssize_t n = PyList_Size(tensors), number = 0;
    if (get_buffer(out, &columns, 4 * n * (Py_ssize_t)sizeof(double), PyBUF_WRITABLE, "columns") != 0) return NULL;
    Block *blocks = malloc((n ? n : 1) * sizeof *blocks);
    if (!blocks) { PyErr_NoMemory(); goto done; }
    if (!(left = PyList_New(0))) goto done;
    for (Py_ssize_t position = 0; position < n; position++) {
        PyObject *object = PyList_GetItem(tensors, position);
        if (object == Py_None) {
            ((double *)columns.buf)[3 * n + position] = -1;
            continue;
        }
        DLTensor tensor;
        int type = read_tensor(object, &tensor);
        int64_t count = type == UNREADABLE ? 0 : count_entries(&tensor);
        if (type == UNREADABLE || (count && (!tensor.data || !is_dense(&tensor)))) {
            if (append_position(left, position) != 0) { Py_CLEAR(left); goto done; }
            continue;
        }
        Block block = {count ? first_entry(&tensor) : NULL, count, position, type};
        blocks[number++] = block;
    }
    run_blocks_politely(blocks, number, columns.buf, n);
done:
    free(blocks);
    PyBuffer_Release(&columns);
    return left;
}

PyDoc_STRVAR(reduce_memory_doc, "reduce_memory(addresses, counts, types, columns)\n\n"
                                "The same by address: addresses uint64 (n,), counts int64 (n,), types int8 (n,),\n"
                                "0 = float32, 1 = float64, 2 = float16, 3 = bfloat16.");
static PyObject *reduce_memory(PyObject *module, PyObject *arguments) {
    PyObject *objects[4], *result = NULL;
    Py_buffer views[4];
    if (!PyArg_ParseTuple(arguments, "OOOO", &objects[0], &objects[1], &objects[2], &objects[3])) return NULL;
    Py_ssize_t n = PyObject_Size(objects[0]);
    if (n < 0) return NULL;
    static const char *names[] = {"addresses", "counts", "types", "columns"};
    const Py_ssize_t bytes[] = {8 * n, 8 * n, n, 32 * n};
    int held = 0;
    Block *blocks = malloc((n ? n : 1) * sizeof *blocks);
    if (!blocks) return PyErr_NoMemory();
    for (; held < 4; held++) {
        int flags = held == 3 ? PyBUF_WRITABLE : PyBUF_SIMPLE;
        if (get_buffer(objects[held], &views[held], bytes[held], flags, names[held]) != 0) goto done;
    }
    const uint64_t *addresses = views[0].buf;
    const int64_t *counts = views[1].buf;
    const int8_t *types = views[2].buf;
    for (Py_ssize_t i = 0; i < n; i++) {
        Block block = {(const void *)(uintptr_t)addresses[i], counts[i], i, types[i]};
        blocks[i] = block;
    }
    run_blocks_politely(blocks, n, views[3].buf, n);
    Py_INCREF(Py_None);
    result = Py_None;
done:
    while (held--) PyBuffer_Release(&views[held]);
    free(blocks);
    return result;
}

/* Entries at logical places 0, step, 2 step, … of a tensor of any strides. */
static void take(const DLTensor *tensor, int type, int64_t step, int64_t number, double *out) {
    const void *data = first_entry(tensor);
    int64_t expected = 1;
    int contiguous = 1;
    for (int32_t d = tensor->ndim - 1; tensor->strides && d >= 0; d--) {
        if (tensor->shape[d] != 1 && tensor->strides[d] != expected) contiguous = 0;
        expected *= tensor->shape[d];
    }
    if (contiguous && type == FLOAT32) {
        const float *x = data;
        for (int64_t i = 0; i < number; i++) {
            /* A processor does not foresee strides across pages. */
            __builtin_prefetch((const char *)x + (i + 24) * step * (int64_t)sizeof *x);
            out[i] = x[i * step];
        }
        return;
    }
    for (int64_t i = 0; i < number; i++) {
        int64_t place = i * step, offset = contiguous ? place : 0;
        for (int32_t d = tensor->ndim - 1; !contiguous && d >= 0; d--) {
            offset += place % tensor->shape[d] * tensor->strides[d];
            place /= tensor->shape[d];
        }
        out[i] = entry(data, type, offset);
    }
}

PyDoc_STRVAR(sample_doc, "sample(tensors, steps, offsets, out) -> positions left\n\n"
                         "Write every steps[i]-th entry of tensor i to out[offsets[i]:offsets[i + 1]], zeros for None.\n"
                         "steps int64 (n,), offsets int64 (n + 1,), out float64 (offsets[n],).");
static PyObject *sample(PyObject *module, PyObject *arguments) {
    PyObject *tensors, *objects[3], *left = NULL;
    Py_buffer views[3];
    if (!PyArg_ParseTuple(arguments, "O!OOO", &PyList_Type, &tensors, &objects[0], &objects[1], &objects[2]))
        return NULL;
    Py_ssize_t n = PyList_Size(tensors);
    int held = 0;
    if (get_buffer(objects[0], &views[0], 8 * n, 0, "steps") != 0) return NULL;
    held = 1;
    if (get_buffer(objects[1], &views[1], 8 * (n + 1), 0, "offsets") != 0) goto done;
    held = 2;
    const int64_t *steps = views[0].buf, *offsets = views[1].buf;
    if (get_buffer(objects[2], &views[2], 8 * (Py_ssize_t)offsets[n], PyBUF_WRITABLE, "out") != 0) goto done;
    held = 3;
    if (!(left = PyList_New(0))) goto done;
    for (Py_ssize_t position = 0; position < n; position++) {
        PyObject *object = PyList_GetItem(tensors, position);
        int64_t number = offsets[position + 1] - offsets[position];
        double *out = (double *)views[2].buf + offsets[position];
        if (object == Py_None) {
            memset(out, 0, number * sizeof *out);
            continue;
        }
        DLTensor tensor;
        int type = read_tensor(object, &tensor);
        int64_t last = (number - 1) * steps[position];
        if (type == UNREADABLE || (number && (!tensor.data || count_entries(&tensor) <= last))) {
            if (append_position(left, position) != 0) { Py_CLEAR(left); goto done; }
            continue;
        }
        take(&tensor, type, steps[position], number, out);
    }
done:
    while (held--) PyBuffer_Release(&views[held]);
    return left;
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_VARARGS, bind_doc},
    {"reduce", reduce, METH_VARARGS, reduce_doc},
    {"reduce_memory", reduce_memory, METH_VARARGS, reduce_memory_doc},
    {"sample", sample, METH_VARARGS, sample_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernel", "Fused statistics and strided samples of tensors in host memory.", -1, methods,
};

PyMODINIT_FUNC PyInit__kernel(void) {
#ifdef __x86_64__
    __builtin_cpu_init();
    fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return PyModule_Create(&definition);
}
