// SPDX-License-Identifier: MIT
// What the supervisor knows of bundles and declared devices, when any allocation is refused: nothing is lost, nothing is
// half-done, and what failed is said.

#include "host/approval.h"
#include "host/declared.h"
#include "host/paths.h"
#include "tests/core/check.h"
#include "tests/core/failing_allocator.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/dextral-test-XXXXXX";
static char device_file[sizeof folder + 32];
static char approval_file[sizeof folder + 40];
static char bundle_folder[sizeof folder + 16];
static char program[sizeof folder + 16];

static void
write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void
make_files(void)
{
    CHECK(mkdtemp(folder));
    (void)snprintf(device_file, sizeof device_file, "%s/devices/stream-mix.device", folder);
    (void)snprintf(approval_file, sizeof approval_file, "%s/approvals/org.good.approval", folder);
    (void)snprintf(bundle_folder, sizeof bundle_folder, "%s/Good.dext", folder);
    (void)snprintf(program, sizeof program, "%s/program", folder);
    CHECK(chdir(folder) == 0 && mkdir("Good.dext", 0755) == 0 && mkdir("devices", 0700) == 0);
    write_file("devices/other.device", "kind=null\nuid=other\nppm=3\n");
    write_file("program", "");
    write_file("Good.dext/Good.so", "");
    write_file("Good.dext/Info.plist",
               "<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>org.good</string>"
               "<key>IOKitPersonalities</key><dict><key>P</key><dict><key>IOUserClass</key><string>D</string>"
               "<key>IOProviderClass</key><string>IOUserResources</string>"
               "<key>IOUserAudioDriverUserClientProperties</key><dict><key>IOClass</key>"
               "<string>IOUserUserClient</string><key>IOUserClass</key>"
               "<string>IOUserAudioDriverUserClient</string></dict></dict></dict></dict></plist>");
    write_file("Good.dext/Good.entitlements",
               "<plist version=\"1.0\"><dict><key>com.apple.security.network.client</key><true/>"
               "<key>a</key><array><string>b</string></array></dict></plist>");
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Whether it went through; where not, it says that there was no memory, and nothing is there. */
static bool
try_device(void)
{
    const struct dx_declarations_config config = {.config_folder = folder};
    struct dx_declarations *declarations = NULL;
    const struct dx_declared *declared = NULL;
    dx_error error = {""};
    kern_return_t status = dx_declarations_open(&config, &declarations, &error);
    CHECK(status == kIOReturnSuccess || (status == kIOReturnNoMemory && error.message[0]));
    if (status != kIOReturnSuccess)
        return false;
    CHECK(dx_declarations_find(declarations, "other"));

    OSDictionary *const options = OSDictionaryCreate(0);
    bool done = options && OSDictionarySetStringValue(options, "name", "Stream mix") &&
                OSDictionarySetUInt64Value(options, "channels", 8);
    if (done) {
        status = dx_declarations_create(declarations, "cable", options, &declared, &error);
        done = status == kIOReturnSuccess;
        CHECK(done || (status == kIOReturnNoMemory && error.message[0]));
        CHECK_EQ(exists(device_file), done);
        CHECK_EQ(dx_declarations_find(declarations, "stream-mix") != NULL, done);
    }
    OSObjectRelease(options);
    if (done) {
        OSString *const value = OSStringCreate("-5");
        const size_t ppm = dx_kind_find_option(declared->kind, "ppm");
        done = value && dx_declarations_set_option(declarations, "stream-mix", "ppm", value, NULL, NULL) ==
                            kIOReturnSuccess;
        CHECK(strcmp(declared->values[ppm], done ? "-5" : "0") == 0);
        OSObjectRelease(value);

        OSDictionary *const description = dx_declared_describe(declared);
        OSDictionary *const properties = dx_declared_copy_properties(declared);
        OSArray *const kinds = dx_kinds_describe();
        OSDictionary *const info = dx_kind_copy_info("Cable.dext");
        done = done && description && properties && kinds && info;
        OSObjectRelease(description);
        OSObjectRelease(properties);
        OSObjectRelease(kinds);
        OSObjectRelease(info);
        status = dx_declarations_remove(declarations, "stream-mix", NULL);
        CHECK(status == kIOReturnSuccess || status == kIOReturnNoMemory);
        CHECK_EQ(exists(device_file), status != kIOReturnSuccess);
        done = done && status == kIOReturnSuccess;
    }
    dx_declarations_close(declarations);
    (void)unlink(device_file);
    return done;
}

static bool
try_bundle(void)
{
    const char *const folders[] = {folder, NULL};
    struct dx_catalogue catalogue = {0};
    struct dx_approvals *approvals = NULL;
    struct dx_path_list list = {0};
    dx_error error = {""};
    const kern_return_t scan_status = dx_catalogue_scan(NULL, folders, &catalogue, &error);
    CHECK(scan_status == kIOReturnSuccess || scan_status == kIOReturnNoMemory);
    const struct dx_bundle_entry *const entry =
        scan_status == kIOReturnSuccess ? dx_catalogue_find(&catalogue, "org.good") : NULL;
    bool done = dx_paths_driver_folders(&list, NULL) == kIOReturnSuccess;
    done = dx_approvals_open(folder, NULL, NULL, &approvals, &error) == kIOReturnSuccess && done;
    if (entry && !entry->why[0] && approvals) {
        CHECK(!dx_approvals_allow(approvals, entry, NULL));
        const bool approved = dx_approvals_approve(approvals, entry, true, NULL) == kIOReturnSuccess;
        CHECK_EQ(exists(approval_file), approved);
        CHECK_EQ(dx_approvals_allow(approvals, entry, NULL), approved);
        CHECK_EQ(dx_approvals_allow_network(approvals, entry), approved);
        const bool granted = dx_approvals_grant(approvals, entry, program, NULL) == kIOReturnSuccess;
        CHECK_EQ(dx_approvals_allow_user_client(approvals, entry, program, NULL), granted);
        const bool ungranted = dx_approvals_ungrant(approvals, entry, program, NULL) == kIOReturnSuccess;
        CHECK_EQ(dx_approvals_allow_user_client(approvals, entry, program, NULL), granted && !ungranted);
        OSArray *const programs = dx_approvals_copy_programs(approvals, "org.good");
        const bool revoked = dx_approvals_revoke(approvals, "org.good", NULL) == kIOReturnSuccess;
        CHECK_EQ(dx_approvals_allow(approvals, entry, NULL), approved && !revoked);
        done = done && approved && granted && ungranted && programs && revoked;
        OSObjectRelease(programs);
    } else {
        done = false; // it said so, or what could not be read is refused
    }
    dx_approvals_close(approvals);
    dx_catalogue_finish(&catalogue);
    dx_path_list_finish(&list);
    (void)unlink(approval_file);
    return done;
}

static void
fail_everywhere(const char *what, bool (*try_it)(void))
{
    uint64_t n = 1;
    (void)fprintf(stderr, "- %s\n", what);
    CHECK(try_it()); // whatever is made once for all has been made
    for (;; n++) {
        const uint64_t live = failing_allocator_live();
        failing_allocator_fail_at(n);
        const bool done = try_it();
        const bool reached = failing_allocator_stop();
        CHECK_EQ(failing_allocator_live(), live);
        CHECK(done || reached);
        if (!reached)
            break;
    }
    (void)fprintf(stderr, "  %llu points\n", (unsigned long long)n - 1);
    CHECK(n > 50);
}

int
main(void)
{
    make_files();
    fail_everywhere("a declared device is there or it is not", try_device);
    struct dx_bundle_entry *entry = NULL;
    CHECK(dx_bundle_entry_read(bundle_folder, NULL, &entry) == kIOReturnSuccess);
    const bool reads_property_lists = !entry->why[0];
    dx_bundle_entry_destroy(entry);
    if (reads_property_lists)
        fail_everywhere("a bundle is approved or it is not", try_bundle);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(system(command) == 0);
    return 0;
}
