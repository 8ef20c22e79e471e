// SPDX-License-Identifier: MIT
// Bundles on disk: folders, files, links, and the shared object's classes.

#include <dextral/bundle.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void
enter_folder(void)
{
    strcpy(folder, "/tmp/dextral-bundle-XXXXXX");
    cr_assert(ne(ptr, mkdtemp(folder), NULL));
    cr_assert(eq(int, chdir(folder), 0));
    cr_assert(eq(int, mkdir("Test.dext", 0777), 0));
}

static void
leave_folder(void)
{
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert(eq(int, chdir("/"), 0));
    cr_assert(eq(int, system(command), 0));
}

TestSuite(bundle, .init = enter_folder, .fini = leave_folder);

static void
write_info(const char *path, const char *class, const char *executable)
{
    FILE *const file = fopen(path, "w");
    cr_assert(ne(ptr, file, NULL));
    fprintf(file,
            "<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>org.dextral.test</string>%s%s%s"
            "<key>CFBundleShortVersionString</key><string>1.2</string>"
            "<key>IOKitPersonalities</key><dict><key>P</key><dict><key>IOUserClass</key><string>%s</string>"
            "<key>IOProviderClass</key><string>IOUserResources</string>"
            "<key>IOUserAudioDriverUserClientProperties</key><dict><key>IOClass</key>"
            "<string>IOUserUserClient</string><key>IOUserClass</key><string>IOUserAudioDriverUserClient</string>"
            "</dict></dict></dict></dict></plist>\n",
            executable ? "<key>CFBundleExecutable</key><string>" : "", executable ? executable : "",
            executable ? "</string>" : "", class);
    cr_assert(eq(int, fclose(file), 0));
}

static void
copy_module(const char *path)
{
    char command[512];
    (void)snprintf(command, sizeof command, "cp '%s/test_driver.so' '%s'", MODULES, path);
    cr_assert(eq(int, system(command), 0));
}

static void
expect_refused(const char *path, kern_return_t status, const char *message)
{
    dx_bundle *bundle = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_bundle_open(path, &bundle, &error), status), "%s", error.message);
    cr_expect(strstr(error.message, message) != NULL, "\"%s\" in \"%s\"", message, error.message);
    dx_bundle_close(bundle);
    cr_expect(eq(int, dx_bundle_open(path, &bundle, NULL), status), "also without room for a message");
}

Test(bundle, a_good_one_opens)
{
    write_info("Test.dext/Info.plist", "GoodDriver", NULL);
    copy_module("Test.dext/Test.so");
    static const char *const paths[] = {"Test.dext", "Test.dext/", "./Test.dext//", "Test.dext/../Test.dext"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        dx_bundle *bundle = NULL;
        dx_error error = {""};
        cr_assert(eq(int, dx_bundle_open(paths[i], &bundle, &error), kIOReturnSuccess), "%s", error.message);
        cr_expect(eq(int, strcmp(dx_bundle_identifier(bundle), "org.dextral.test"), 0));
        cr_expect(eq(int, strcmp(dx_bundle_version(bundle), "1.2"), 0));
        cr_expect(eq(sz, dx_bundle_personality_count(bundle), 1));
        cr_expect(ne(ptr, dx_bundle_personality(bundle, 0), NULL));
        cr_expect(eq(ptr, dx_bundle_personality(bundle, 1), NULL));
        IOUserAudioDriver *driver = NULL;
        cr_expect(eq(int, dx_bundle_create_driver(bundle, 0, &driver, &error), kIOReturnSuccess));
        cr_expect(ne(ptr, driver, NULL));
        cr_expect(eq(int, dx_bundle_create_driver(bundle, 1, &driver, &error), kIOReturnBadArgument));
        dx_bundle_close(bundle);
    }
    dx_bundle_close(NULL);
}

Test(bundle, the_executable_may_have_another_name)
{
    write_info("Test.dext/Info.plist", "GoodDriver", "Other");
    expect_refused("Test.dext", kIOReturnNotFound, "Other.so: No such file");
    copy_module("Test.dext/Other.so");
    dx_bundle *bundle = NULL;
    cr_expect(eq(int, dx_bundle_open("Test.dext", &bundle, NULL), kIOReturnSuccess));
    dx_bundle_close(bundle);
    write_info("Test.dext/Info.plist", "GoodDriver", "Other.so");
    cr_expect(eq(int, dx_bundle_open("Test.dext", &bundle, NULL), kIOReturnSuccess));
    dx_bundle_close(bundle);
}

Test(bundle, paths_that_are_no_bundle_are_refused)
{
    expect_refused("Missing.dext", kIOReturnNotFound, "No such file");
    cr_assert(eq(int, mkdir("Folder", 0777), 0));
    expect_refused("Folder", kIOReturnBadArgument, "must end in .dext");
    write_info("File.dext", "GoodDriver", NULL);
    expect_refused("File.dext", kIOReturnBadArgument, "a driver bundle is a folder");
    expect_refused("/", kIOReturnBadArgument, "must end in .dext");
    expect_refused("Test.dext", kIOReturnNotFound, "no Info.plist");
    dx_bundle *bundle = NULL;
    cr_expect(eq(int, dx_bundle_open(NULL, &bundle, NULL), kIOReturnBadArgument));
}

Test(bundle, info_plist_must_be_a_file_of_its_own)
{
    cr_assert(eq(int, mkdir("Test.dext/Info.plist", 0777), 0));
    expect_refused("Test.dext", kIOReturnNotReadable, "no regular file");
    cr_assert(eq(int, rmdir("Test.dext/Info.plist"), 0));
    cr_assert(eq(int, mkfifo("Test.dext/Info.plist", 0666), 0));
    expect_refused("Test.dext", kIOReturnNotReadable, "no regular file");
    cr_assert(eq(int, unlink("Test.dext/Info.plist"), 0));
    cr_assert(eq(int, symlink("/etc/passwd", "Test.dext/Info.plist"), 0));
    expect_refused("Test.dext", kIOReturnNotReadable, "symbolic link");
    cr_assert(eq(int, unlink("Test.dext/Info.plist"), 0));
    cr_assert(eq(int, close(creat("Test.dext/Info.plist", 0666)), 0));
    expect_refused("Test.dext", kIOReturnBadArgument, "is empty");
}

Test(bundle, two_info_plists_are_a_contradiction)
{
    cr_assert(eq(int, mkdir("Test.dext/Contents", 0777), 0));
    write_info("Test.dext/Contents/Info.plist", "GoodDriver", NULL);
    expect_refused("Test.dext", kIOReturnNotFound, "move it");
    write_info("Test.dext/Info.plist", "GoodDriver", NULL);
    expect_refused("Test.dext", kIOReturnBadArgument, "both Info.plist and Contents/Info.plist");
}

Test(bundle, a_shared_object_outside_is_refused)
{
    write_info("Test.dext/Info.plist", "GoodDriver", NULL);
    copy_module("outside.so");
    cr_assert(eq(int, symlink("../outside.so", "Test.dext/Test.so"), 0));
    expect_refused("Test.dext", kIOReturnNotReadable, "leads out of the bundle");
    // a neighbour whose path begins with the bundle's
    cr_assert(eq(int, unlink("Test.dext/Test.so"), 0));
    cr_assert(eq(int, mkdir("Test.dext2", 0777), 0));
    copy_module("Test.dext2/Test.so");
    cr_assert(eq(int, symlink("../Test.dext2/Test.so", "Test.dext/Test.so"), 0));
    expect_refused("Test.dext", kIOReturnNotReadable, "leads out of the bundle");
    // a link that stays inside is fine
    cr_assert(eq(int, unlink("Test.dext/Test.so"), 0));
    copy_module("Test.dext/Test.so.1");
    cr_assert(eq(int, symlink("Test.so.1", "Test.dext/Test.so"), 0));
    dx_bundle *bundle = NULL;
    cr_expect(eq(int, dx_bundle_open("Test.dext", &bundle, NULL), kIOReturnSuccess));
    dx_bundle_close(bundle);
}

Test(bundle, a_file_that_is_no_shared_object_is_refused)
{
    write_info("Test.dext/Info.plist", "GoodDriver", NULL);
    cr_assert(eq(int, mkdir("Test.dext/Test.so", 0777), 0));
    expect_refused("Test.dext", kIOReturnNotReadable, "no regular file");
    cr_assert(eq(int, rmdir("Test.dext/Test.so"), 0));
    write_info("Test.dext/Test.so", "GoodDriver", NULL); // text
    expect_refused("Test.dext", kIOReturnRLDError, "cannot load");
}

struct class_case {
    char class[24];
    char message[64];
    kern_return_t status;
};

ParameterizedTestParameters(bundle, classes_are_checked)
{
    static struct class_case cases[] = {
        {"MissingDriver", "must export dx_driver_class_MissingDriver", kIOReturnRLDError},
        {"NoAllocDriver", "has no alloc", kIOReturnRLDError},
        {"OtherNameDriver", "calls itself \"SomebodyElse\"", kIOReturnBadArgument},
        {"OldDriver", "plug-in ABI 2.0", kIOReturnUnsupported},
        {"NewDriver", "plug-in ABI 1.1", kIOReturnUnsupported},
        {"ShortDriver", "table of 8 bytes", kIOReturnUnsupported},
    };
    return cr_make_param_array(struct class_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct class_case *c, bundle, classes_are_checked)
{
    write_info("Test.dext/Info.plist", c->class, NULL);
    copy_module("Test.dext/Test.so");
    expect_refused("Test.dext", c->status, c->message);
}

Test(bundle, an_alloc_without_memory_is_an_error)
{
    write_info("Test.dext/Info.plist", "EmptyDriver", NULL);
    copy_module("Test.dext/Test.so");
    dx_bundle *bundle = NULL;
    dx_error error = {""};
    IOUserAudioDriver *driver = NULL;
    cr_assert(eq(int, dx_bundle_open("Test.dext", &bundle, &error), kIOReturnSuccess), "%s", error.message);
    cr_expect(eq(int, dx_bundle_create_driver(bundle, 0, &driver, &error), kIOReturnNoMemory));
    cr_expect(strstr(error.message, "EmptyDriver") != NULL);
    dx_bundle_close(bundle);
}
