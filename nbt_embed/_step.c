/* predict and learn of one sample, on NumPy arrays.
 *
 * A step of a small learner takes about a microsecond; checking its arrays in Python would take as
 * long. This module handles the arrays of most callers, float32 of the right shape, and a float
 * where one number is expected. It leaves everything else to Python (nbt_embed/arrays.py), which
 * calls again with a converted array. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030A0000 /* one module for Python 3.10 and later */
#include <Python.h>

/* NumPy 1.24 and later, including 2, if this is compiled with NumPy 2. */
#define NPY_TARGET_VERSION NPY_1_23_API_VERSION
#define NPY_NO_DEPRECATED_API NPY_1_23_API_VERSION

#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <string.h>

#include "_calls.h"

/* The calls of one learner. It only changes between two bytecodes of Python. */
typedef struct step {
    PyObject_HEAD PyObject *owner; /* keeps the memory of the learner */
    nbt_shared *shared;
    int (*predict)(nbt_shared *shared, float *y, const float *x);
    int (*learn)(nbt_shared *shared, const float *label);
    npy_intp n_in, n_label, n_out;
    float *spare; /* numbers for one call, NULL while a call has them */
} step;

/* A buffer that no other call uses: the arguments of the kernel must not change during its call,
 * which runs without the global lock. NULL with an exception set. */
static float *taken(step *self)
{
    float *numbers = self->spare;
    self->spare = NULL;
    if (numbers == NULL) {
        size_t count = (size_t)self->n_in + (size_t)self->n_label + (size_t)self->n_out;
        numbers = PyMem_Calloc(count, sizeof(float));
    }
    if (numbers == NULL) {
        PyErr_NoMemory();
    }
    return numbers;
}

static void give_back(step *self, float *numbers)
{
    PyMem_Free(self->spare); /* two calls ran at once */
    self->spare = numbers;
}

/* Whether it is an array (width,) of float32 in native byte order, and not of a subclass such as a
 * masked array. */
static int is_plain(PyObject *object, npy_intp width)
{
    if (!PyArray_CheckExact(object)) {
        return 0;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_TYPE(array) == NPY_FLOAT && PyArray_NDIM(array) == 1 &&
           PyArray_DIM(array, 0) == width && PyArray_ISNOTSWAPPED(array);
}

/* Whether a forecast can be written into it. */
static int is_place(PyObject *object, npy_intp width)
{
    return is_plain(object, width) && PyArray_ISWRITEABLE((PyArrayObject *)object);
}

/* Copies numbers from and to arrays, which may be strided and unaligned. */
static void move(char *to, npy_intp to_stride, const char *from, npy_intp from_stride, npy_intp n)
{
    for (npy_intp i = 0; i < n; i++) {
        memcpy(to + i * to_stride, from + i * from_stride, sizeof(float));
    }
}

/* Copies a sample, without running Python code. Returns: whether it is of a kind that this module
 * handles. */
static int is_read(float *to, PyObject *sample, npy_intp width)
{
    if (is_plain(sample, width)) {
        PyArrayObject *array = (PyArrayObject *)sample;
        move((char *)to, sizeof(float), PyArray_BYTES(array), PyArray_STRIDE(array, 0), width);
        return 1;
    }
    if (width != 1) {
        return 0;
    }
    if (Py_TYPE(sample) == &PyFloatArrType_Type) {
        PyArray_ScalarAsCtype(sample, to);
        return 1;
    }
    if (PyFloat_Check(sample)) { /* of a subclass too this is the number itself */
        to[0] = (float)PyFloat_AsDouble(sample);
        return 1;
    }
    return 0;
}

/* The return value of predict for a status. Another thread may have changed the shape, the type or
 * the memory of out during the step, so out is checked once more. */
static PyObject *answer(int status, PyObject *out, const float *y, npy_intp n_out)
{
    if (status == NBT_OK && out != Py_None && is_place(out, n_out)) {
        PyArrayObject *array = (PyArrayObject *)out;
        move(PyArray_BYTES(array), PyArray_STRIDE(array, 0), (const char *)y, sizeof(float), n_out);
        Py_INCREF(out);
        return out;
    }
    PyObject *array = PyArray_SimpleNew(1, &n_out, NPY_FLOAT);
    if (array != NULL) {
        memcpy(PyArray_DATA((PyArrayObject *)array), y, (size_t)n_out * sizeof(float));
    }
    return status == NBT_OK && out == Py_None ? array : Py_BuildValue("iN", status, array);
}

static PyObject *step_predict(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    step *self = (step *)object;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "predict takes x and out");
        return NULL;
    }
    PyObject *x = arguments[0], *out = arguments[1];
    float *sample = taken(self);
    if (sample == NULL) {
        return NULL;
    }
    float *y = sample + self->n_in;
    if ((out != Py_None && !is_place(out, self->n_out)) || !is_read(sample, x, self->n_in)) {
        give_back(self, sample);
        Py_RETURN_NONE;
    }
    int status;
    Py_BEGIN_ALLOW_THREADS status = self->predict(self->shared, y, sample);
    Py_END_ALLOW_THREADS PyObject *result = answer(status, out, y, self->n_out);
    give_back(self, sample);
    return result;
}

static PyObject *step_learn(PyObject *object, PyObject *y)
{
    step *self = (step *)object;
    float *label = taken(self);
    if (label == NULL) {
        return NULL;
    }
    if (!is_read(label, y, self->n_label)) {
        give_back(self, label);
        Py_RETURN_NONE;
    }
    int status;
    Py_BEGIN_ALLOW_THREADS status = self->learn(self->shared, label);
    Py_END_ALLOW_THREADS give_back(self, label);
    return PyLong_FromLong(status);
}

/* cffi has compiled the functions into its own module and provides their addresses. */
static PyObject *step_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names))
{
    PyObject *owner;
    unsigned long long shared, predict, learn;
    Py_ssize_t n_in, n_label, n_out;
    if (!PyArg_ParseTuple(arguments, "O(KKK)(nnn)", &owner, &shared, &predict, &learn, &n_in,
                          &n_label, &n_out)) {
        return NULL;
    }
    step *self = (step *)PyType_GenericAlloc(type, 0);
    if (self != NULL) {
        Py_INCREF(owner);
        self->owner = owner;
        self->shared = (nbt_shared *)(uintptr_t)shared;
        self->predict = (int (*)(nbt_shared *, float *, const float *))(uintptr_t)predict;
        self->learn = (int (*)(nbt_shared *, const float *))(uintptr_t)learn;
        self->n_in = n_in;
        self->n_label = n_label;
        self->n_out = n_out;
    }
    return (PyObject *)self;
}

static void step_dealloc(PyObject *object)
{
    step *self = (step *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->spare);
    Py_DECREF(self->owner);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef step_methods[] = {
    {"predict", (PyCFunction)(void (*)(void))step_predict, METH_FASTCALL,
     "out, or a new array; (status, array) for another status than NBT_OK, or if out has changed "
     "meanwhile; None if x or out is not read here"},
    {"learn", step_learn, METH_O, "status; None if y is not read here"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot step_slots[] = {
    {Py_tp_doc, "predict and learn of one learner, for one sample"},
    {Py_tp_new, (void *)step_new},
    {Py_tp_dealloc, (void *)step_dealloc},
    {Py_tp_methods, step_methods},
    {0, NULL},
};

static PyType_Spec step_spec = {
    "nbt_embed._step.Step", (int)sizeof(step), 0, Py_TPFLAGS_DEFAULT, step_slots,
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "nbt_embed._step", NULL, -1, NULL, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__step(void)
{
    import_array();
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    PyObject *type = PyType_FromSpec(&step_spec);
    if (type == NULL || PyModule_AddObject(module, "Step", type) < 0) {
        Py_XDECREF(type);
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
