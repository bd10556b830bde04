/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Least squares, by GSL: normal equations accumulated a block of rows at a
 * time, then Tikhonov regularisation ("Large Dense Linear Systems" in its
 * manual). */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_multilarge.h>

#include "util.h"

struct gsl_fit {
    gsl_multilarge_linear_workspace *work;
    gsl_matrix *x;              /* FC_FIT_BLOCK rows. */
    gsl_vector *y;
    gsl_vector *coef;
    gsl_matrix *a;              /* FC_MAX_NORMAL by as many. */
    gsl_vector *b;
    size_t n;                   /* Rows in 'x' and 'y'. */
    bool failed;
};

/* Makes room to fit with, about 70 kB; may serve any number of forecasts of a
 * thread, one after the other. */
struct forecast_fit *
forecast_fit_create(void)
{
    struct forecast_fit *fit = xzalloc(sizeof *fit);
    struct gsl_fit *g = xzalloc(sizeof *g);

    /* Errors are returned.  The default is to abort. */
    gsl_set_error_handler_off();
    g->work = gsl_multilarge_linear_alloc(gsl_multilarge_linear_normal,
                                          FC_MAX_FEATURES);
    g->x = gsl_matrix_calloc(FC_FIT_BLOCK, FC_MAX_FEATURES);
    g->y = gsl_vector_calloc(FC_FIT_BLOCK);
    g->coef = gsl_vector_calloc(FC_MAX_FEATURES);
    g->a = gsl_matrix_calloc(FC_MAX_NORMAL, FC_MAX_NORMAL);
    g->b = gsl_vector_calloc(FC_MAX_NORMAL);
    if (!g->work || !g->x || !g->y || !g->coef || !g->a || !g->b) {
        out_of_memory();
    }
    fit->gsl = g;
    fit->errors = xcalloc(FORECAST_MAX_HISTORY, sizeof *fit->errors);
    return fit;
}

void
forecast_fit_destroy(struct forecast_fit *fit)
{
    if (fit) {
        gsl_multilarge_linear_free(fit->gsl->work);
        gsl_matrix_free(fit->gsl->x);
        gsl_vector_free(fit->gsl->y);
        gsl_vector_free(fit->gsl->coef);
        gsl_matrix_free(fit->gsl->a);
        gsl_vector_free(fit->gsl->b);
        free(fit->gsl);
        free(fit->errors);
        free(fit);
    }
}

void
fc_fit_begin(struct forecast_fit *fit)
{
    struct gsl_fit *g = fit->gsl;

    g->failed = gsl_multilarge_linear_reset(g->work) != GSL_SUCCESS;
    gsl_matrix_set_zero(g->x);
    gsl_vector_set_zero(g->y);
    g->n = 0;
}

static void
flush(struct gsl_fit *g)
{
    /* Rows that are left over are zero: they add nothing. */
    if (gsl_multilarge_linear_accumulate(g->x, g->y, g->work)) {
        g->failed = true;
    }
    gsl_matrix_set_zero(g->x);
    gsl_vector_set_zero(g->y);
    g->n = 0;
}

/* Adds the equation 'x' . coef = 'y', 'weight' times.  'x' has 'n' elements,
 * at most FC_MAX_FEATURES. */
void
fc_fit_row(struct forecast_fit *fit, const double *x, size_t n, double y,
           double weight)
{
    struct gsl_fit *g = fit->gsl;
    double w = sqrt(weight);

    for (size_t i = 0; i < n; i++) {
        gsl_matrix_set(g->x, g->n, i, w * x[i]);
    }
    gsl_vector_set(g->y, g->n, w * y);
    if (++g->n == FC_FIT_BLOCK) {
        flush(g);
    }
}

/* Writes the 'n' coefficients that minimise the squared error plus 'ridge' ^ 2
 * times their squared length.  Returns false, and leaves 'coef' alone, if
 * there are none. */
bool
fc_fit_end(struct forecast_fit *fit, double ridge, float *coef, size_t n)
{
    struct gsl_fit *g = fit->gsl;
    double rnorm, snorm;

    if (g->n) {
        flush(g);
    }
    if (g->failed || gsl_multilarge_linear_solve(ridge, g->coef, &rnorm,
                                                 &snorm, g->work)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(gsl_vector_get(g->coef, i)) < 1e6)) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        coef[i] = gsl_vector_get(g->coef, i);
    }
    return true;
}

/* Writes the 'n' coefficients that solve the normal equations 'a' . coef =
 * 'b', where 'a' is the lower triangle by rows, to 'coef'.  'ridge' pulls
 * towards 0, each in proportion to the size of its own feature.  Returns
 * false, and leaves 'coef' alone, if there is no solution. */
bool
fc_fit_normal(struct forecast_fit *fit, const double *a, const double *b,
              size_t n, double ridge, float *coef)
{
    struct gsl_fit *g = fit->gsl;
    double unit[FC_MAX_NORMAL]; /* Of features. */

    for (size_t i = 0; i < n; i++) {
        double square = a[i * (i + 1) / 2 + i];

        unit[i] = square > 0 ? 1 / sqrt(square) : 0;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            gsl_matrix_set(g->a, i, j, *a++ * unit[i] * unit[j]);
        }
        gsl_matrix_set(g->a, i, i, 1 + ridge);
        gsl_vector_set(g->b, i, b[i] * unit[i]);
    }

    gsl_matrix_view m = gsl_matrix_submatrix(g->a, 0, 0, n, n);
    gsl_vector_view v = gsl_vector_subvector(g->b, 0, n);
    if (gsl_linalg_cholesky_decomp1(&m.matrix)
        || gsl_linalg_cholesky_svx(&m.matrix, &v.vector)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(gsl_vector_get(g->b, i)) < 1e30)) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        coef[i] = gsl_vector_get(g->b, i) * unit[i];
    }
    return true;
}
