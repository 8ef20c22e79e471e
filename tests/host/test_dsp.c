// SPDX-License-Identifier: MIT
// DSP plug-ins: the specification on a command line, and tables that are not right.

#include <dextral/bundle.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define SPEC(text) MODULES "/test_dsp0.so" text

static void
expect_parameters(const char *spec, double gain_db, double mix)
{
    dx_dsp *dsp = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_dsp_open(spec, &dsp, &error), kIOReturnSuccess), "%s", error.message);
    const dx_dsp_plugin *const plugin = dx_dsp_get_plugin(dsp);
    void *const instance = dx_dsp_get_instance(dsp);
    cr_expect(eq(dbl, plugin->get_parameter(instance, 0), gain_db), "%s", spec);
    cr_expect(eq(dbl, plugin->get_parameter(instance, 1), mix), "%s", spec);
    dx_dsp_close(dsp);
}

Test(dsp, parameters_are_set)
{
    expect_parameters(SPEC(""), 0.0, 0.0);
    expect_parameters(SPEC(":gain_db=-6"), -6.0, 0.0);
    expect_parameters(SPEC(":mix=0.25,gain_db=+2.5e0"), 2.5, 0.25);
    dx_dsp_close(NULL);
}

Test(dsp, numbers_do_not_depend_on_the_locale)
{
    // a locale with a decimal comma; where it is not installed the test holds trivially
    (void)setlocale(LC_ALL, "de_DE.UTF-8");
    expect_parameters(SPEC(":gain_db=-6.5"), -6.5, 0.0);
}

struct refused_case {
    char spec[512];
    char message[100];
    kern_return_t status;
};

ParameterizedTestParameters(dsp, what_is_wrong_is_named)
{
    static struct refused_case cases[] = {
        {"", "PATH:name=value", kIOReturnBadArgument},
        {"/no/such/plugin.so", "No such file", kIOReturnNotFound},
        {"/tmp", "no regular file", kIOReturnNotReadable},
        {"/etc/passwd", "cannot load", kIOReturnRLDError},
        {MODULES "/test_driver.so", "is no DSP plug-in", kIOReturnRLDError},
        {SPEC(":"), "name=value", kIOReturnBadArgument},
        {SPEC(":gain_db"), "name=value", kIOReturnBadArgument},
        {SPEC(":=3"), "name=value", kIOReturnBadArgument},
        {SPEC(":gain_db=-6,"), "name=value", kIOReturnBadArgument},
        {SPEC(":gian=1"), "no parameter \"gian\"; it has gain_db (-96 ... 24 dB), mix (0 ... 1)",
         kIOReturnBadArgument},
        {SPEC(":gain_db="), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=loud"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db= 3"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=3dB"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=0x3"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=inf"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=nan"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=1e999"), "must be a number", kIOReturnBadArgument},
        {SPEC(":gain_db=24.5"), "gain_db is -96 ... 24 dB", kIOReturnBadArgument},
        {SPEC(":mix=-1"), "mix is 0 ... 1", kIOReturnBadArgument},
        {SPEC(":mix=1,mix=0"), "given twice", kIOReturnBadArgument},
        {MODULES "/test_dsp1.so", "no instance", kIOReturnNoMemory},
        {MODULES "/test_dsp2.so", "parameter mix has no usable range", kIOReturnRLDError},
        {MODULES "/test_dsp3.so", "table of 16 bytes", kIOReturnUnsupported},
        {MODULES "/test_dsp4.so", "plug-in ABI 2.0", kIOReturnUnsupported},
        {MODULES "/test_dsp5.so", "lacks a function", kIOReturnRLDError},
    };
    return cr_make_param_array(struct refused_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct refused_case *c, dsp, what_is_wrong_is_named)
{
    dx_dsp *dsp = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_dsp_open(c->spec, &dsp, &error), c->status), "%s: %s", c->spec, error.message);
    cr_expect(strstr(error.message, c->message) != NULL, "\"%s\" in \"%s\"", c->message, error.message);
    dx_dsp_close(dsp);
}
