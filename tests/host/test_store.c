// SPDX-License-Identifier: MIT
// Small files: their syntax, and that they are replaced whole or not at all.

#include "host/store.h"

#include "folder.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

TestSuite(store, .init = enter_folder, .fini = leave_folder);

static struct dx_store *
parse(const char *text)
{
    struct dx_store *store = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_store_parse(text, strlen(text), "file", &store, &error), kIOReturnSuccess), "%s",
              error.message);
    return store;
}

static void
expect_refused(const char *text, size_t length, const char *message)
{
    struct dx_store *store = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_store_parse(text, length, "file", &store, &error), kIOReturnBadArgument), "%s", text);
    expect_message(&error, message);
    cr_expect(eq(ptr, store, NULL));
    cr_expect(eq(int, dx_store_parse(text, length, "file", &store, NULL), kIOReturnBadArgument));
}

static void
expect_value(const struct dx_store *store, const char *key, const char *expected)
{
    const char *const value = dx_store_get(store, key);
    cr_assert(ne(ptr, TEXT(value), NULL), "%s", key);
    cr_expect(eq(str, TEXT(value), TEXT(expected)), "%s", key);
}

Test(store, lines_are_keys_and_values)
{
    struct dx_store *const store = parse("# a comment = not a key\n"
                                         "\n"
                                         "name=Stream mix\n"
                                         "empty=\n"
                                         "A.b_c-9= a = b # c \n"
                                         "escaped=1\\n2\\r3\\t4\\\\5\\x01\\x7f\n"
                                         "sound=T\xC3\xB6ne \xE2\x99\xAB \xF0\x9F\x94\x8A\n"
                                         "tab=a\tb\n"
                                         "last=no newline");
    expect_value(store, "name", "Stream mix");
    expect_value(store, "empty", "");
    expect_value(store, "A.b_c-9", " a = b # c ");
    expect_value(store, "escaped", "1\n2\r3\t4\\5\x01\x7F");
    expect_value(store, "sound", "T\xC3\xB6ne \xE2\x99\xAB \xF0\x9F\x94\x8A");
    expect_value(store, "tab", "a\tb");
    expect_value(store, "last", "no newline");
    cr_expect(eq(ptr, TEXT(dx_store_get(store, "Name")), NULL));
    const char *key = NULL;
    const char *value = NULL;
    cr_assert(dx_store_get_at(store, 1, &key, &value));
    cr_expect(eq(str, TEXT(key), TEXT("empty")));
    cr_expect(not(dx_store_get_at(store, 7, &key, &value)));
    dx_store_destroy(store);
    dx_store_destroy(NULL);
    dx_store_destroy(parse(""));
}

Test(store, what_is_no_such_line_is_refused_with_its_number)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"a=1\nb\n", "file, line 2: no '='"},
        {"=1", "line 1: a key must have 1 to 127"},
        {" a=1", "line 1: a key must have"},
        {"a =1", "line 1: a key must have"},
        {"a/b=1", "line 1: a key must have"},
        {"\xEF\xBB\xBF"
         "a=1",
         "line 1: a key must have"},
        {"a=1\n\n# c\na=2\n", "line 4: this key stands in an earlier line"},
        {"a=\x01", "line 1: a control character"},
        {"a=1\r\n", "line 1: a control character"},
        {"a=\\", "line 1: '\\' must be followed"},
        {"a=\\q", "line 1: '\\' must be followed"},
        {"a=\\x0", "line 1: '\\' must be followed"},
        {"a=\\x00", "line 1: '\\' must be followed"},
        {"a=\\x41", "line 1: '\\' must be followed"},
        {"a=\\xG1", "line 1: '\\' must be followed"},
        {"a=\\x0\nb=1", "line 1: '\\' must be followed"},
        {"a=\x80", "line 1: the value is not UTF-8"},
        {"a=\xC3", "line 1: the value is not UTF-8"},
        {"a=\xC0\xAF", "line 1: the value is not UTF-8"},         // '/' with a byte too many
        {"a=\xE0\x80\xAF", "line 1: the value is not UTF-8"},     // with two
        {"a=\xF0\x80\x80\xAF", "line 1: the value is not UTF-8"}, // with three
        {"a=\xED\xA0\x80", "line 1: the value is not UTF-8"},     // half of a pair of UTF-16
        {"a=\xF4\x90\x80\x80", "line 1: the value is not UTF-8"}, // above U+10FFFF
        {"a=\xF8\x88\x80\x80\x80", "line 1: the value is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
    expect_refused("a=1\nb=\0", 7, "line 2: a NUL");
    expect_refused("\0", 1, "line 1: a NUL");
}

Test(store, limits_are_kept_when_reading_and_when_setting)
{
    char key[160];
    memset(key, 'k', sizeof key);
    key[128] = '\0';
    struct dx_store *const store = dx_store_create();
    cr_expect(eq(int, dx_store_set(store, key, ""), kIOReturnBadArgument));
    key[127] = '\0';
    cr_expect(eq(int, dx_store_set(store, key, ""), kIOReturnSuccess));
    cr_expect(eq(int, dx_store_set(store, "", ""), kIOReturnBadArgument));
    cr_expect(eq(int, dx_store_set(store, "a b", ""), kIOReturnBadArgument));
    cr_expect(eq(int, dx_store_set(store, "a", "\xFF"), kIOReturnBadArgument));

    for (unsigned i = 1; i < DX_STORE_MAX_KEYS; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        cr_assert(eq(int, dx_store_set(store, key, "v"), kIOReturnSuccess));
    }
    cr_expect(eq(int, dx_store_set(store, "more", "v"), kIOReturnNoSpace));
    cr_expect(eq(int, dx_store_set(store, "1", "other"), kIOReturnSuccess)); // it is there already
    cr_expect(eq(int, dx_store_set(store, "1", NULL), kIOReturnSuccess));
    cr_expect(eq(int, dx_store_set(store, "1", NULL), kIOReturnSuccess)); // there is none
    cr_expect(eq(int, dx_store_set(store, "more", "v"), kIOReturnSuccess));
    dx_store_destroy(store);

    char *const text = calloc(1, DX_STORE_MAX_BYTES + 2);
    memset(text, '\n', DX_STORE_MAX_BYTES + 1);
    expect_refused(text, DX_STORE_MAX_BYTES + 1, "file is larger than 65536 bytes");
    struct dx_store *full = NULL;
    memset(text, 'v', DX_STORE_MAX_BYTES);
    memcpy(text, "a=", 2);
    expect_refused(text, DX_STORE_MAX_BYTES, "more than 65536 bytes"); // with the newline it would be
    cr_assert(eq(int, dx_store_parse(text, DX_STORE_MAX_BYTES - 1, "file", &full, NULL), kIOReturnSuccess));
    cr_expect(eq(int, dx_store_set(full, "b", ""), kIOReturnNoSpace));
    cr_expect(eq(int, dx_store_set(full, "a", "short"), kIOReturnSuccess));
    cr_expect(eq(int, dx_store_set(full, "b", ""), kIOReturnSuccess));
    dx_store_destroy(full);
    for (unsigned i = 0, length = 0; i < DX_STORE_MAX_KEYS + 1; i++)
        length += (unsigned)sprintf(text + length, "%u=\n", i);
    expect_refused(text, strlen(text), "line 513: there are more keys than 512");
    free(text);
}

Test(store, every_value_comes_back_from_a_file)
{
    struct dx_store *const store = dx_store_create();
    char all[256];
    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;
    all[127] = '\0';
    cr_assert(eq(int, dx_store_set(store, "ascii", all), kIOReturnSuccess));
    cr_assert(eq(int, dx_store_set(store, "trap", "a\nevil=1\n#\\"), kIOReturnSuccess));
    cr_assert(eq(int, dx_store_set(store, "sound", "\xE9\x9F\xB3"), kIOReturnSuccess));
    cr_assert(eq(int, dx_store_set(store, "empty", ""), kIOReturnSuccess));
    dx_error error = {""};
    cr_assert(eq(int, dx_store_write(store, "file", &error), kIOReturnSuccess), "%s", error.message);

    struct dx_store *again = NULL;
    cr_assert(eq(int, dx_store_read("file", &again, &error), kIOReturnSuccess), "%s", error.message);
    expect_value(again, "ascii", all);
    expect_value(again, "trap", "a\nevil=1\n#\\");
    expect_value(again, "sound", "\xE9\x9F\xB3");
    expect_value(again, "empty", "");
    cr_expect(eq(ptr, TEXT(dx_store_get(again, "evil")), NULL));
    struct stat info;
    cr_assert(eq(int, stat("file", &info), 0));
    cr_expect(eq(u32, info.st_mode, S_IFREG | 0600));
    dx_store_destroy(store);
    dx_store_destroy(again);
}

Test(store, a_file_that_cannot_be_read_says_why)
{
    struct dx_store *store = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_store_read("none", &store, &error), kIOReturnNotFound));
    expect_message(&error, "none: No such file");
    cr_assert(eq(int, symlink("/etc/passwd", "link"), 0));
    cr_expect(eq(int, dx_store_read("link", &store, &error), kIOReturnNotReadable));
    expect_message(&error, "symbolic link");
    cr_assert(eq(int, mkfifo("pipe", 0600), 0)); // must not wait for a writer
    cr_expect(eq(int, dx_store_read("pipe", &store, &error), kIOReturnNotReadable));
    expect_message(&error, "no regular file");
    make_folder("folder", 0700);
    cr_expect(eq(int, dx_store_read("folder", &store, &error), kIOReturnNotReadable));
    write_file("large", "");
    cr_assert(eq(int, truncate("large", DX_STORE_MAX_BYTES + 1), 0));
    cr_expect(eq(int, dx_store_read("large", &store, &error), kIOReturnNoSpace));
    expect_message(&error, "larger than 65536 bytes");
    write_file("broken", "a=1\nb\n");
    cr_expect(eq(int, dx_store_read("broken", &store, &error), kIOReturnBadArgument));
    expect_message(&error, "broken, line 2");
    cr_expect(eq(ptr, store, NULL));
}

static void
expect_content(const char *path, const char *expected)
{
    char *bytes = NULL;
    size_t length = 0;
    cr_assert(eq(int, dx_file_read(path, 1 << 20, &bytes, &length, NULL), kIOReturnSuccess));
    cr_expect(eq(str, bytes, TEXT(expected)));
    cr_expect(eq(sz, length, strlen(expected)));
    free(bytes);
}

Test(store, a_file_is_replaced_whole)
{
    dx_error error = {""};
    cr_assert(eq(int, dx_file_replace("file", "one", 3, &error), kIOReturnSuccess));
    expect_content("file", "one");
    write_file(".file.new", "left by a crash, and longer than what comes");
    cr_assert(eq(int, dx_file_replace(in_folder("file"), "two", 3, &error), kIOReturnSuccess));
    expect_content("file", "two");
    cr_expect(not(exists(".file.new")));
    cr_assert(eq(int, dx_file_replace("file", "", 0, &error), kIOReturnSuccess));
    expect_content("file", "");
}

Test(store, a_file_that_cannot_be_written_stays)
{
    dx_error error = {""};
    write_file("file", "old");
    cr_assert(eq(int, symlink("/etc/dextral-test-must-not-be-there", ".file.new"), 0));
    cr_expect(eq(int, dx_file_replace("file", "new", 3, &error), kIOReturnNotWritable));
    expect_message(&error, "it is as it was before");
    cr_expect(not(exists("/etc/dextral-test-must-not-be-there")));
    cr_assert(eq(int, dx_file_replace("none/file", "new", 3, &error), kIOReturnNotWritable));
    make_folder("folder", 0700);
    cr_expect(eq(int, dx_file_replace("folder", "new", 3, &error), kIOReturnNotWritable));
    cr_expect(not(exists(".folder.new")));

    /* A file may not grow beyond what the process may write: as far as writing went, it went. */
    cr_assert(ne(ptr, (void *)(uintptr_t)signal(SIGXFSZ, SIG_IGN), (void *)(uintptr_t)SIG_ERR));
    const struct rlimit limit = {4096, 4096};
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
    char *const large = calloc(1, 10000);
    cr_expect(eq(int, dx_file_replace("file", large, 10000, &error), kIOReturnNotWritable));
    expect_content("file", "old");
    cr_expect(not(exists(".file.new")));
    free(large);
}

/* A disk of its own, of a few pages, seen by this process alone. */
static void
mount_small_disk(const char *path)
{
    make_folder(path, 0700);
    const int flags = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
    if (unshare(flags) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", 0, "size=16k,mode=0700") != 0)
        SKIP_TEST("no disk can be mounted here: %s", strerror(errno));
}

Test(store, on_a_full_disk_the_old_file_stays)
{
    mount_small_disk("disk");
    dx_error error = {""};
    char *const large = malloc(40000);
    memset(large, 'x', 40000);
    cr_assert(eq(int, dx_file_replace("disk/file", "old", 3, &error), kIOReturnSuccess), "%s", error.message);
    cr_expect(eq(int, dx_file_replace("disk/file", large, 40000, &error), kIOReturnNoSpace));
    expect_message(&error, "No space left on device; it is as it was before");
    expect_content("disk/file", "old");
    cr_expect(not(exists("disk/.file.new")));
    cr_expect(eq(int, dx_file_replace("disk/file", "new", 3, &error), kIOReturnSuccess));
    expect_content("disk/file", "new");
    cr_expect(eq(int, umount("disk"), 0));
    free(large);
}

Test(store, any_text_is_a_file_name_of_its_own)
{
    static const struct {
        const char *text;
        const char *name;
    } cases[] = {
        {"stream-mix_2.x", "stream-mix_2.x"},
        {"../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"},
        {".", "%2E"},
        {"..", "%2E."},
        {"a/b", "a%2Fb"},
        {"a%2Fb", "a%252Fb"},
        {"\xC3\xB6 ", "%C3%B6%20"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *const name = dx_file_name_from_text(cases[i].text);
        cr_expect(eq(str, name, TEXT(cases[i].name)));
        free(name);
    }
}
