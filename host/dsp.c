// SPDX-License-Identifier: MIT
// DSP plug-ins: one shared object, one instance, parameters as text.

#include "host/error.h"
#include "host/plugin_file.h"

#include <dextral/bundle.h>

#include <dlfcn.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARAMETERS 1024u

struct dx_dsp {
    void *handle; // of dlopen()
    const dx_dsp_plugin *plugin;
    void *instance;
};

/* Numbers are read and shown with '.', whatever the program's locale says. */
struct plain_locale {
    locale_t plain;
    locale_t before;
};

static bool
enter_plain_locale(struct plain_locale *locale)
{
    locale->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale->plain)
        return false;
    locale->before = uselocale(locale->plain);
    return true;
}

static void
leave_plain_locale(struct plain_locale *locale)
{
    (void)uselocale(locale->before);
    freelocale(locale->plain);
}

static kern_return_t
check_parameters(const dx_dsp_plugin *plugin, const char *path, dx_error *error)
{
    if (plugin->parameter_count > MAX_PARAMETERS || (plugin->parameter_count > 0 && !plugin->parameters))
        return dx_error_set(error, kIOReturnRLDError, "%s: %u parameters cannot be (at most %u)", path,
                            plugin->parameter_count, MAX_PARAMETERS);
    for (uint32_t i = 0; i < plugin->parameter_count; i++) {
        const dx_dsp_parameter *const parameter = &plugin->parameters[i];
        if (!parameter->name || !*parameter->name || strpbrk(parameter->name, "=,:"))
            return dx_error_set(error, kIOReturnRLDError, "%s: parameter %u has no usable name", path, i);
        if (!isfinite(parameter->minimum) || !isfinite(parameter->maximum) ||
            !(parameter->minimum <= parameter->initial && parameter->initial <= parameter->maximum))
            return dx_error_set(error, kIOReturnRLDError, "%s: parameter %s has no usable range", path,
                                parameter->name);
    }
    return kIOReturnSuccess;
}

static kern_return_t
load_plugin(dx_dsp *dsp, const char *path, dx_error *error)
{
    kern_return_t status = dx_plugin_file_load(path, NULL, &dsp->handle, error);
    if (status != kIOReturnSuccess)
        return status;

    // POSIX lets dlsym() return functions; ISO C has no conversion for it
    dx_dsp_entry_function entry = NULL;
    void *const symbol = dlsym(dsp->handle, DX_DSP_ENTRY);
    memcpy(&entry, &symbol, sizeof entry);
    if (!entry)
        return dx_error_set(error, kIOReturnRLDError,
                            "%s is no DSP plug-in: it does not export " DX_DSP_ENTRY " (see DX_DSP_PLUGIN)", path);
    const dx_dsp_plugin *const plugin = entry();
    if (!plugin)
        return dx_error_set(error, kIOReturnRLDError, "%s: " DX_DSP_ENTRY "() returned NULL", path);
    status = dx_plugin_file_check_abi(path, plugin->abi, plugin->size, sizeof(dx_dsp_plugin), error);
    if (status != kIOReturnSuccess)
        return status;
    if (!plugin->identifier || !plugin->name || !plugin->create || !plugin->destroy || !plugin->activate ||
        !plugin->deactivate || !plugin->process || !plugin->set_parameter || !plugin->get_parameter ||
        !plugin->latency_frames)
        return dx_error_set(error, kIOReturnRLDError, "%s: its table lacks a function or a name", path);
    status = check_parameters(plugin, path, error);
    if (status == kIOReturnSuccess)
        dsp->plugin = plugin;
    return status;
}

/* "name (minimum ... maximum unit), ..." */
static void
list_parameters(const dx_dsp_plugin *plugin, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < plugin->parameter_count && length < size; i++) {
        const dx_dsp_parameter *const parameter = &plugin->parameters[i];
        const bool has_unit = parameter->unit && *parameter->unit;
        const int added =
            snprintf(text + length, size - length, "%s%s (%g ... %g%s%s)", i > 0 ? ", " : "", parameter->name,
                     parameter->minimum, parameter->maximum, has_unit ? " " : "", has_unit ? parameter->unit : "");
        length += added > 0 ? (size_t)added : 0;
    }
}

static kern_return_t
find_parameter(const dx_dsp *dsp, const char *name, size_t length, uint32_t *ret_index, dx_error *error)
{
    for (uint32_t i = 0; i < dsp->plugin->parameter_count; i++) {
        const char *const known = dsp->plugin->parameters[i].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            *ret_index = i;
            return kIOReturnSuccess;
        }
    }
    char known[400];
    list_parameters(dsp->plugin, known, sizeof known);
    return dx_error_set(error, kIOReturnBadArgument, "%s has no parameter \"%.*s\"; it has %s", dsp->plugin->name,
                        (int)(length > 60 ? 60 : length), name, *known ? known : "none");
}

/* A decimal number, all of the text; no spaces, no hexadecimal, no infinity. */
static bool
parse_number(const char *text, size_t length, double *ret_value)
{
    char copy[64];
    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strspn(copy, "0123456789+-.eE") != length)
        return false;
    char *end = NULL;
    const double value = strtod(copy, &end);
    if (end != copy + length || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

/* One "name=value". */
static kern_return_t
set_parameter(dx_dsp *dsp, const char *text, size_t length, uint8_t *is_set, dx_error *error)
{
    const int shown = (int)(length > 100 ? 100 : length);
    const char *const equals = memchr(text, '=', length);
    if (!equals || equals == text)
        return dx_error_set(error, kIOReturnBadArgument, "\"%.*s\": parameters are written name=value,name=value",
                            shown, text);

    uint32_t index = 0;
    kern_return_t status = find_parameter(dsp, text, (size_t)(equals - text), &index, error);
    if (status != kIOReturnSuccess)
        return status;
    if (is_set[index])
        return dx_error_set(error, kIOReturnBadArgument, "parameter %s is given twice",
                            dsp->plugin->parameters[index].name);
    is_set[index] = 1;

    const dx_dsp_parameter *const parameter = &dsp->plugin->parameters[index];
    const char *const digits = equals + 1;
    double value = 0.0;
    if (!parse_number(digits, length - (size_t)(digits - text), &value))
        return dx_error_set(error, kIOReturnBadArgument, "\"%.*s\": the value of %s must be a number, such as %g",
                            shown, text, parameter->name, parameter->initial);
    if (value < parameter->minimum || value > parameter->maximum)
        return dx_error_set(error, kIOReturnBadArgument, "\"%.*s\": %s is %g ... %g%s%s", shown, text,
                            parameter->name, parameter->minimum, parameter->maximum,
                            parameter->unit && *parameter->unit ? " " : "",
                            parameter->unit ? parameter->unit : "");
    status = dsp->plugin->set_parameter(dsp->instance, index, value);
    if (status != kIOReturnSuccess)
        return dx_error_set(error, status, "%s refused \"%.*s\": %s", dsp->plugin->name, shown, text,
                            dx_return_string(status));
    return kIOReturnSuccess;
}

static kern_return_t
set_parameters(dx_dsp *dsp, const char *text, dx_error *error)
{
    struct plain_locale locale;
    uint8_t *const is_set = calloc(dsp->plugin->parameter_count + 1u, 1);
    if (!is_set || !enter_plain_locale(&locale)) {
        free(is_set);
        return dx_error_set(error, kIOReturnNoMemory, "no memory to set parameters");
    }
    kern_return_t status = kIOReturnSuccess;
    for (const char *next = text; next && status == kIOReturnSuccess;) {
        const char *const comma = strchr(next, ',');
        status = set_parameter(dsp, next, comma ? (size_t)(comma - next) : strlen(next), is_set, error);
        next = comma ? comma + 1 : NULL;
    }
    leave_plain_locale(&locale);
    free(is_set);
    return status;
}

/* The colon that ends the path: the first one after the last slash, since a number has neither. */
static const char *
find_parameters(const char *spec)
{
    const char *const slash = strrchr(spec, '/');
    return strchr(slash ? slash : spec, ':');
}

kern_return_t
dx_dsp_open(const char *spec, dx_dsp **ret_dsp, dx_error *error)
{
    if (!spec || !*spec || !ret_dsp)
        return dx_error_set(error, kIOReturnBadArgument, "no DSP plug-in was named: PATH or PATH:name=value,...");
    const char *const colon = find_parameters(spec);
    char *const path = colon ? strndup(spec, (size_t)(colon - spec)) : strdup(spec);
    dx_dsp *const dsp = calloc(1, sizeof *dsp);
    kern_return_t status = kIOReturnSuccess;
    if (!path || !dsp)
        status = dx_error_set(error, kIOReturnNoMemory, "no memory to load %s", spec);
    if (status == kIOReturnSuccess)
        status = load_plugin(dsp, path, error);
    if (status == kIOReturnSuccess) {
        dsp->instance = dsp->plugin->create();
        if (!dsp->instance)
            status = dx_error_set(error, kIOReturnNoMemory, "%s: no instance of %s could be made", path,
                                  dsp->plugin->name);
    }
    if (status == kIOReturnSuccess && colon)
        status = set_parameters(dsp, colon + 1, error);

    free(path);
    if (status == kIOReturnSuccess)
        *ret_dsp = dsp;
    else
        dx_dsp_close(dsp);
    return status;
}

void
dx_dsp_close(dx_dsp *dsp)
{
    if (!dsp)
        return;
    if (dsp->instance)
        dsp->plugin->destroy(dsp->instance);
    if (dsp->handle)
        (void)dlclose(dsp->handle); // nothing to do about a failure
    free(dsp);
}

const dx_dsp_plugin *
dx_dsp_get_plugin(const dx_dsp *dsp)
{
    return dsp->plugin;
}

void *
dx_dsp_get_instance(const dx_dsp *dsp)
{
    return dsp->instance;
}
