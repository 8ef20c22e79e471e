// SPDX-License-Identifier: MIT
// A folder of a test's own, and what tests do with files in it.

#ifndef DX_TESTS_HOST_FOLDER_H
#define DX_TESTS_HOST_FOLDER_H

#include <dextral/bundle.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 54321u // a user that is neither root nor whoever runs the tests

#define TEXT(text) ((char *)(uintptr_t)(text)) // as Criterion's str wants it: without const

static char folder[64]; // mode 0700, and the current one

static inline void
enter_folder(void)
{
    strcpy(folder, "/tmp/dextral-test-XXXXXX");
    cr_assert(ne(ptr, mkdtemp(folder), NULL));
    cr_assert(eq(int, chdir(folder), 0));
    (void)umask(022);
    static const char *const variables[] = {
        "DEXTRAL_RUNTIME_DIR", "DEXTRAL_CONFIG_DIR",     "DEXTRAL_STATE_DIR", "DEXTRAL_DRIVER_PATH",
        "DEXTRAL_KINDS_DIR",   "DEXTRAL_DRIVER_PROGRAM", "XDG_RUNTIME_DIR",   "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",      "XDG_DATA_HOME",
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        cr_assert(eq(int, unsetenv(variables[i]), 0));
}

/* From here on the process has its own rights again: what looks for leaks, right after the test, needs them. */
static inline void
become_oneself(void)
{
    cr_assert(eq(int, seteuid(getuid()), 0));
    cr_assert(eq(int, setegid(getgid()), 0));
    cr_assert(eq(int, prctl(PR_SET_DUMPABLE, 1), 0)); // taken away by a change of user
}

static inline void
leave_folder(void)
{
    char command[2 * sizeof folder + 32];
    (void)snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", folder, folder);
    cr_assert(eq(int, chdir("/"), 0));
    cr_assert(eq(int, system(command), 0));
}

/* A test that is skipped does not come to leave_folder() by itself. */
#define SKIP_TEST(...)             \
    do {                           \
        leave_folder();            \
        cr_skip_test(__VA_ARGS__); \
    } while (0)

/* An absolute path in the folder; alive until the 8th call after it. */
__attribute__((format(printf, 1, 2))) static inline const char *
in_folder(const char *format, ...)
{
    static char paths[8][512];
    static unsigned next;
    char *const path = paths[next++ % 8];
    const int length = snprintf(path, sizeof paths[0], "%s/", folder);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(path + length, sizeof paths[0] - (size_t)length, format, arguments);
    va_end(arguments);
    return path;
}

static inline void
make_folder(const char *path, mode_t mode)
{
    cr_assert(eq(int, mkdir(path, 0700), 0), "%s", path);
    cr_assert(eq(int, chmod(path, mode), 0)); // whatever the umask is
}

static inline void
write_file(const char *path, const char *text)
{
    FILE *const file = fopen(path, "w");
    cr_assert(ne(ptr, file, NULL), "%s", path);
    cr_assert(ge(int, fputs(text, file), 0));
    cr_assert(eq(int, fclose(file), 0));
}

static inline void
expect_message(const dx_error *error, const char *part)
{
    cr_expect(strstr(error->message, part) != NULL, "\"%s\" in \"%s\"", part, error->message);
}

static inline bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Gives a file to another user; without the right to do so, the test has a result of its own. */
static inline void
give_to_stranger(const char *path)
{
    if (chown(path, STRANGER, STRANGER) != 0)
        SKIP_TEST("only root can give files away");
}

/* From here on the process is another user, to whom its folder belongs. */
static inline void
become_stranger(void)
{
    give_to_stranger(folder);
    cr_assert(eq(int, setegid(STRANGER), 0));
    cr_assert(eq(int, seteuid(STRANGER), 0));
}

#endif /* DX_TESTS_HOST_FOLDER_H */
