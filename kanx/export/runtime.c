static void kanx_add_categories(const kanx_curve *curve, double code, double *sums) {
    const double *values = NULL;
    if (isnan(code)) {
        values = curve->missing;
    } else if (code >= 0 && code < curve->pieces && code == floor(code)) {
        values = curve->coefficients + (size_t)code * curve->count;
    }
    for (int o = 0; values && o < curve->count; o++) sums[curve->outputs[o]] += values[o];
}

static void kanx_add_pieces(const kanx_curve *curve, double x, double *sums) {
    if (isnan(x)) {
        for (int o = 0; o < curve->count; o++)
            sums[curve->outputs[o]] += curve->missing ? curve->missing[o] : NAN;
        return;
    }
    const double *breaks = curve->breaks;
    double first = breaks[0], last = breaks[curve->pieces];
    double t = (2 * x - curve->middle) / curve->width;
    if (curve->periodic) t -= 2 * floor((t + 1) / 2);
    double below = fmin(t - first, 0), above = fmax(t - last, 0);
    double inside = fmin(fmax(t, first), last);
    int low = 0, high = curve->pieces - 1; /* the last piece that does not start above t */
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (breaks[middle] <= inside) low = middle; else high = middle - 1;
    }
    double left = breaks[low], right = breaks[low + 1];
    double u = (2 * inside - (right + left)) / (right - left);
    const double *powers = curve->coefficients + (size_t)low * (curve->degree + 1) * curve->count;
    for (int o = 0; o < curve->count; o++) {
        double value = 0;
        for (int j = curve->degree; j >= 0; j--) value = value * u + powers[j * curve->count + o];
        sums[curve->outputs[o]] +=
            value + below * curve->tails[o] + above * curve->tails[curve->count + o];
    }
}

static double kanx_node(int kind, int arity, const double *sums) {
    double value = 1, below = 1;
    if (kind == 0) {
        for (int j = 0; j < arity; j++) value *= sums[j];
        return value;
    }
    if (kind == 1) {
        for (int j = 1; j < arity; j++) below += fabs(sums[j]);
        return sums[0] / below;
    }
    value = (1 + sums[2]) * sums[0] + (arity == 4 ? (1 + sums[3]) * sums[1] : sums[1]);
    for (int j = 2; j < arity; j++) below += (1 + sums[j]) * (1 + sums[j]);
    return value / below;
}

static void kanx_nodes(const kanx_layer *layer, const double *x, double *values) {
    double sums[KANX_WIDEST];
    for (int o = 0; o < layer->width; o++) sums[o] = layer->bias[o];
    for (int c = 0; c < layer->curves; c++) {
        const kanx_curve *curve = layer->first + c;
        if (curve->breaks) kanx_add_pieces(curve, x[curve->input], sums);
        else kanx_add_categories(curve, x[curve->input], sums);
    }
    int start = layer->sums;
    for (int o = 0; o < layer->sums; o++) values[o] = sums[o];
    for (int k = 0; k < layer->combined; k++) {
        values[layer->sums + k] = kanx_node(layer->kinds[k], layer->arities[k], sums + start);
        start += layer->arities[k];
    }
}

double kanx_code(int column, const char *category) {
    if (category == NULL) return NAN;
    if (column < 0 || column >= KANX_COLUMNS || !kanx_categories[column]) return -1;
    for (int k = 0; kanx_categories[column][k]; k++)
        if (strcmp(kanx_categories[column][k], category) == 0) return k;
    return -1;
}

void kanx_predict(const double *row, double *prediction) {
    double values[2][KANX_WIDEST], direct[KANX_WIDEST];
    const double *h = row;
    for (int depth = 0; depth < KANX_DEPTH; depth++) {
        kanx_nodes(kanx_layers + depth, h, values[depth % 2]);
        h = values[depth % 2];
    }
    double outputs[KANX_OUTPUTS], largest = -INFINITY, total = 0;
    if (KANX_SKIP) kanx_nodes(kanx_layers + KANX_DEPTH, row, direct);
    for (int o = 0; o < KANX_OUTPUTS; o++) {
        outputs[o] = kanx_mean[o] + kanx_scale[o] * (KANX_SKIP ? h[o] + direct[o] : h[o]);
        if (!(outputs[o] <= largest)) largest = outputs[o];
    }
    if (KANX_LINK == 0) {
        for (int o = 0; o < KANX_OUTPUTS; o++) prediction[o] = outputs[o];
    } else if (KANX_LINK == 1) {
        for (int o = 0; o < KANX_OUTPUTS; o++) prediction[o] = exp(outputs[o]);
    } else if (KANX_LINK == 2) {
        prediction[1] = 1 / (1 + exp(-outputs[0]));
        prediction[0] = 1 - prediction[1];
    } else {
        for (int o = 0; o < KANX_OUTPUTS; o++) total += prediction[o] = exp(outputs[o] - largest);
        for (int o = 0; o < KANX_OUTPUTS; o++) prediction[o] /= total;
    }
}
