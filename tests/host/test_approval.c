// SPDX-License-Identifier: MIT
// What the user has allowed: for how long it holds, and what it is for.

#include "host/approval.h"

#include "bundles.h"

TestSuite(approval, .init = enter_folder, .fini = leave_folder);

#define NETWORK "<key>com.apple.security.network.client</key><true/>"
#define USB(vendor)                                                                                               \
    "<key>com.apple.developer.driverkit.transport.usb</key><array><dict><key>idVendor</key><integer>" vendor      \
    "</integer></dict></array>"

static struct dx_approvals *
open_approvals(void)
{
    struct dx_approvals *approvals = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_approvals_open(folder, NULL, NULL, &approvals, &error), kIOReturnSuccess), "%s",
              error.message);
    return approvals;
}

static void
expect_allowed(const struct dx_approvals *approvals, const char *path)
{
    struct dx_bundle_entry *const entry = read_bundle(path);
    dx_error why = {""};
    cr_expect(dx_approvals_allow(approvals, entry, &why), "%s", why.message);
    dx_bundle_entry_destroy(entry);
}

static void
expect_not_allowed(const struct dx_approvals *approvals, const char *path, const char *message)
{
    struct dx_bundle_entry *const entry = read_bundle(path);
    dx_error why = {""};
    cr_expect(not(dx_approvals_allow(approvals, entry, &why)));
    cr_expect(not(dx_approvals_allow(approvals, entry, NULL)));
    expect_message(&why, message);
    dx_bundle_entry_destroy(entry);
}

static kern_return_t
approve(struct dx_approvals *approvals, const char *path, bool network, dx_error *error)
{
    struct dx_bundle_entry *const entry = read_bundle(path);
    const kern_return_t status = dx_approvals_approve(approvals, entry, network, error);
    dx_bundle_entry_destroy(entry);
    return status;
}

static bool
has_network(const struct dx_approvals *approvals, const char *path)
{
    struct dx_bundle_entry *const entry = read_bundle(path);
    const bool has = dx_approvals_allow_network(approvals, entry);
    dx_bundle_entry_destroy(entry);
    return has;
}

static bool
may_talk(const struct dx_approvals *approvals, const char *path, const char *program)
{
    struct dx_bundle_entry *const entry = read_bundle(path);
    const bool may = dx_approvals_allow_user_client(approvals, entry, program, NULL);
    dx_bundle_entry_destroy(entry);
    return may;
}

static void
run(const char *command)
{
    cr_assert(eq(int, system(command), 0), "%s", command);
}

Test(approval, a_new_driver_waits_for_the_user)
{
    make_bundle("Good.dext", "org.good");
    struct dx_approvals *approvals = open_approvals();
    expect_not_allowed(approvals, "Good.dext", "it is new and has not been approved; `dextral approve org.good`");
    dx_error error = {""};
    cr_assert(eq(int, approve(approvals, "Good.dext", false, &error), kIOReturnSuccess), "%s", error.message);
    expect_allowed(approvals, "Good.dext");
    dx_approvals_close(approvals);

    approvals = open_approvals(); // after a restart as well
    expect_allowed(approvals, "Good.dext");
    cr_assert(eq(int, dx_approvals_revoke(approvals, "org.good", &error), kIOReturnSuccess));
    expect_not_allowed(approvals, "Good.dext", "it is new");
    cr_expect(eq(int, dx_approvals_revoke(approvals, "org.good", &error), kIOReturnNotFound));
    expect_message(&error, "org.good has not been approved");
    dx_approvals_close(approvals);
    approvals = open_approvals();
    expect_not_allowed(approvals, "Good.dext", "it is new");
    dx_approvals_close(approvals);
    dx_approvals_close(NULL);
}

Test(approval, an_update_in_its_place_needs_no_new_one)
{
    make_bundle("Good.dext", "org.good");
    write_entitlements("Good.dext/Good.entitlements", NETWORK USB("1"));
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    run("rm -rf Good.dext");
    make_bundle("Good.dext", "org.good");
    write_info("Good.dext", "org.good", "2", "");
    expect_allowed(approvals, "Good.dext"); // it asks for less
    write_entitlements("Good.dext/Entitlements.plist", USB("1") NETWORK);
    expect_allowed(approvals, "Good.dext"); // for the same, in a file of another name
    dx_approvals_close(approvals);
}

Test(approval, an_update_that_asks_for_more_needs_a_new_one)
{
    static const struct {
        const char *entitlements;
        const char *message;
    } cases[] = {
        {USB("1") NETWORK, "it asks for more than when it was approved: com.apple.security.network.client;"},
        {USB("2"), "transport.usb={\"idVendor\":2};"},
        {"<key>com.apple.developer.driverkit.transport.usb</key><true/>",
         "com.apple.developer.driverkit.transport.usb;"},
        {"<key>a</key><true/><key>b</key><true/>" USB("1"), "approved: a and others;"},
    };
    make_bundle("Good.dext", "org.good");
    write_entitlements("Good.dext/Good.entitlements", USB("1"));
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_entitlements("Good.dext/Good.entitlements", cases[i].entitlements);
        expect_not_allowed(approvals, "Good.dext", cases[i].message);
    }
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    expect_allowed(approvals, "Good.dext");
    dx_approvals_close(approvals);
}

Test(approval, a_driver_in_another_folder_needs_a_new_one)
{
    make_bundle("Good.dext", "org.good");
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    run("mkdir elsewhere; mv Good.dext elsewhere/");
    expect_not_allowed(approvals, "elsewhere/Good.dext", "it was approved in ");
    run("mv elsewhere/Good.dext .; ln -s Good.dext Alias.dext");
    expect_allowed(approvals, "Alias.dext"); // by another way to the same folder
    dx_approvals_close(approvals);
}

Test(approval, a_driver_of_another_owner_needs_a_new_one)
{
    make_bundle("Good.dext", "org.good");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(eq(int, dx_approvals_approve(approvals, entry, false, NULL), kIOReturnSuccess));
    const unsigned before = entry->owner;
    entry->owner++; // as if root had put it there: the user's own one was approved
    char message[200];
    dx_error why = {""};
    (void)snprintf(message, sizeof message,
                   "it belonged to user %u when it was approved, and belongs to user %u now", before, before + 1);
    cr_expect(not(dx_approvals_allow(approvals, entry, &why)));
    expect_message(&why, message);
    dx_bundle_entry_destroy(entry);
    dx_approvals_close(approvals);
}

Test(approval, a_driver_that_others_may_write_is_not_run_whatever_was_approved)
{
    make_bundle("Good.dext", "org.good");
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    run("chmod o+w Good.dext/Good.so");
    expect_not_allowed(approvals, "Good.dext", "can be written by others");
    dx_error error = {""};
    cr_expect(eq(int, approve(approvals, "Good.dext", false, &error), kIOReturnNotPermitted));
    expect_message(&error, "can be written by others");
    dx_approvals_close(approvals);
}

Test(approval, the_kinds_of_the_installation_need_none)
{
    struct dx_bundle_entry *entry = NULL;
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(
        eq(int, dx_bundle_entry_read_kind(dx_kind_find("null"), BUILD "/examples", &entry), kIOReturnSuccess));
    cr_expect(dx_approvals_allow(approvals, entry, NULL));
    cr_expect(not(dx_approvals_allow_network(approvals, entry)));
    cr_expect(not(dx_approvals_allow_user_client(approvals, entry, "/bin/sh", NULL)));
    cr_expect(eq(int, dx_approvals_approve(approvals, entry, false, NULL), kIOReturnSuccess));
    cr_expect(eq(int, dx_approvals_grant(approvals, entry, "/bin/sh", NULL), kIOReturnBadArgument));
    dx_bundle_entry_destroy(entry);
    expect_not_allowed(approvals, BUILD "/examples/Null.dext",
                       "it is new"); // the same one as a driver of somebody
    dx_approvals_close(approvals);
}

Test(approval, the_network_is_for_who_asks_and_is_allowed)
{
    make_bundle("Good.dext", "org.good");
    struct dx_approvals *const approvals = open_approvals();
    dx_error error = {""};
    cr_expect(eq(int, approve(approvals, "Good.dext", true, &error), kIOReturnBadArgument));
    expect_message(&error, "org.good does not ask for the network");
    expect_not_allowed(approvals, "Good.dext", "it is new");

    write_entitlements("Good.dext/Good.entitlements", NETWORK);
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    cr_expect(not(has_network(approvals, "Good.dext"))); // asked for, not allowed
    cr_assert(eq(int, approve(approvals, "Good.dext", true, NULL), kIOReturnSuccess));
    cr_expect(has_network(approvals, "Good.dext"));
    write_entitlements("Good.dext/Good.entitlements", "");
    cr_expect(not(has_network(approvals, "Good.dext"))); // allowed, not asked for
    write_entitlements("Good.dext/Good.entitlements", "<key>com.apple.security.network.server</key><true/>");
    cr_expect(not(has_network(approvals, "Good.dext"))); // asks for more than what was allowed
    cr_assert(eq(int, approve(approvals, "Good.dext", true, NULL), kIOReturnSuccess));
    cr_expect(has_network(approvals, "Good.dext"));
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess)); // taken back
    cr_expect(not(has_network(approvals, "Good.dext")));
    dx_approvals_close(approvals);
}

Test(approval, a_program_talks_to_a_driver_when_it_was_granted)
{
    make_bundle("Good.dext", "org.good");
    write_file("program", "");
    run("ln -s program alias; cp program other");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    struct dx_approvals *approvals = open_approvals();
    dx_error error = {""};
    cr_expect(eq(int, dx_approvals_grant(approvals, entry, in_folder("program"), &error), kIOReturnNotPermitted));
    expect_message(&error, "has not been approved");
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    cr_expect(not(may_talk(approvals, "Good.dext", in_folder("program"))));
    cr_assert(eq(int, dx_approvals_grant(approvals, entry, in_folder("alias"), &error), kIOReturnSuccess));
    cr_assert(
        eq(int, dx_approvals_grant(approvals, entry, in_folder("program"), &error), kIOReturnSuccess)); // again
    cr_expect(may_talk(approvals, "Good.dext", in_folder("program")));
    cr_expect(not(may_talk(approvals, "Good.dext", in_folder("other"))));
    cr_expect(not(dx_approvals_allow_user_client(approvals, entry, in_folder("other"), &error)));
    expect_message(&error, "other may not talk to org.good");
    dx_approvals_close(approvals);

    approvals = open_approvals(); // after a restart, and after an update that needs a new approval
    cr_expect(may_talk(approvals, "Good.dext", in_folder("program")));
    write_entitlements("Good.dext/Good.entitlements", NETWORK);
    cr_expect(not(may_talk(approvals, "Good.dext", in_folder("program"))));
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    cr_expect(may_talk(approvals, "Good.dext", in_folder("program")));
    OSArray *const programs = dx_approvals_copy_programs(approvals, "org.good");
    cr_assert(eq(sz, OSArrayGetCount(programs), 1));
    cr_expect(OSStringIsEqualToCString(OSArrayGetObject(programs, 0), in_folder("program")));
    OSObjectRelease(programs);

    cr_expect(eq(int, dx_approvals_ungrant(approvals, entry, in_folder("other"), &error), kIOReturnNotFound));
    run("rm program"); // what was granted can be taken back when it is gone
    cr_assert(eq(int, dx_approvals_ungrant(approvals, entry, in_folder("program"), &error), kIOReturnSuccess));
    cr_expect(not(may_talk(approvals, "Good.dext", in_folder("program"))));
    dx_bundle_entry_destroy(entry);
    dx_approvals_close(approvals);
}

Test(approval, what_is_no_program_is_not_granted)
{
    make_bundle("Good.dext", "org.good");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    struct dx_approvals *const approvals = open_approvals();
    dx_error error = {""};
    cr_assert(eq(int, dx_approvals_approve(approvals, entry, false, NULL), kIOReturnSuccess));
    cr_expect(eq(int, dx_approvals_grant(approvals, entry, "program", &error), kIOReturnBadArgument));
    expect_message(&error, "program is no absolute path");
    cr_expect(eq(int, dx_approvals_grant(approvals, entry, in_folder("none"), &error), kIOReturnNotFound));
    cr_expect(eq(int, dx_approvals_grant(approvals, entry, folder, &error), kIOReturnBadArgument));
    expect_message(&error, "is no file of a program");
    dx_bundle_entry_destroy(entry);
    dx_approvals_close(approvals);
}

Test(approval, a_revoked_driver_has_lost_its_grants)
{
    make_bundle("Good.dext", "org.good");
    write_file("program", "");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    struct dx_approvals *const approvals = open_approvals();
    cr_assert(eq(int, dx_approvals_approve(approvals, entry, false, NULL), kIOReturnSuccess));
    cr_assert(eq(int, dx_approvals_grant(approvals, entry, in_folder("program"), NULL), kIOReturnSuccess));
    cr_assert(eq(int, dx_approvals_revoke(approvals, "org.good", NULL), kIOReturnSuccess));
    cr_assert(eq(int, dx_approvals_approve(approvals, entry, false, NULL), kIOReturnSuccess));
    cr_expect(not(may_talk(approvals, "Good.dext", in_folder("program"))));
    dx_bundle_entry_destroy(entry);
    dx_approvals_close(approvals);
}

Test(approval, a_driver_may_let_every_program_talk_to_it)
{
    make_bundle("Good.dext", "org.good");
    write_entitlements("Good.dext/Good.entitlements",
                       "<key>com.apple.developer.driverkit.allow-any-userclient-access</key><true/>");
    struct dx_approvals *const approvals = open_approvals();
    cr_expect(not(may_talk(approvals, "Good.dext", "/bin/sh"))); // not before it is approved
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess));
    cr_expect(may_talk(approvals, "Good.dext", "/bin/sh"));
    write_entitlements("Good.dext/Good.entitlements",
                       "<key>com.apple.developer.driverkit.allow-any-userclient-access</key><false/>");
    cr_expect(not(may_talk(approvals, "Good.dext", "/bin/sh")));
    dx_approvals_close(approvals);
}

Test(approval, several_drivers_are_kept_apart)
{
    struct dx_approvals *approvals = open_approvals();
    static const char *const names[] = {"A.dext", "B.dext", "C.dext", "D.dext"};
    static const char *const identifiers[] = {"org.a", "org.b", "org.c", ".org"};
    for (size_t i = 0; i < 4; i++) {
        make_bundle(names[i], identifiers[i]);
        cr_assert(eq(int, approve(approvals, names[i], false, NULL), kIOReturnSuccess));
    }
    cr_assert(eq(int, dx_approvals_revoke(approvals, "org.a", NULL), kIOReturnSuccess));
    for (int round = 0; round < 2; round++) {
        expect_not_allowed(approvals, "A.dext", "it is new");
        for (size_t i = 1; i < 4; i++)
            expect_allowed(approvals, names[i]);
        dx_approvals_close(approvals);
        approvals = open_approvals();
    }
    dx_approvals_close(approvals);
}

static char complaint[1024];

static void
keep_complaint(void *context, const char *sentence)
{
    cr_expect(eq(ptr, context, complaint));
    (void)snprintf(complaint, sizeof complaint, "%s", sentence);
}

Test(approval, a_file_that_cannot_be_understood_approves_nothing)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"bundle=org.good\nfolder=/x\nowner\n", "org.good.approval, line 3: no '='"},
        {"bundle=org.good\nfolder=/x\n", "lacks `bundle`, `folder` or `owner`"},
        {"bundle=org.good\nfolder=/x\nowner=-1\n", "`owner` must be the number of a user"},
        {"bundle=org.good\nfolder=/x\nowner=\n", "`owner` must be"},
        {"bundle=org.good\nfolder=/x\nowner=99999999999\n", "`owner` must be"},
        {"bundle=org.good\nfolder=/x\nowner=0\nnetwork=maybe\n", "`network` must be yes or no"},
        {"bundle=org.other\nfolder=/x\nowner=0\n", "it is of another bundle than its name says"},
    };
    make_bundle("Good.dext", "org.good");
    make_folder("approvals", 0700);
    write_file("approvals/.org.good.approval.new", "left by a crash");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dx_approvals *approvals = NULL;
        write_file("approvals/org.good.approval", cases[i].text);
        cr_assert(
            eq(int, dx_approvals_open(folder, keep_complaint, complaint, &approvals, NULL), kIOReturnSuccess));
        cr_expect(strstr(complaint, cases[i].message) != NULL, "\"%s\" in \"%s\"", cases[i].message, complaint);
        expect_not_allowed(approvals, "Good.dext", "it is new");
        dx_approvals_close(approvals);
    }
    struct dx_approvals *const approvals = open_approvals(); // without anybody to complain to
    cr_assert(eq(int, approve(approvals, "Good.dext", false, NULL), kIOReturnSuccess)); // and it is mended
    expect_allowed(approvals, "Good.dext");
    dx_approvals_close(approvals);
}

Test(approval, what_cannot_be_kept_is_not_in_force)
{
    make_bundle("Good.dext", "org.good");
    write_file("program", "");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    struct dx_approvals *const approvals = open_approvals();
    dx_error error = {""};
    run("mv approvals gone");
    cr_expect(eq(int, dx_approvals_approve(approvals, entry, false, &error), kIOReturnNotWritable));
    expect_message(&error, "No such file or directory");
    expect_not_allowed(approvals, "Good.dext", "it is new");
    run("mv gone approvals");
    cr_assert(eq(int, dx_approvals_approve(approvals, entry, false, &error), kIOReturnSuccess));
    run("mv approvals gone");
    cr_expect(eq(int, dx_approvals_grant(approvals, entry, in_folder("program"), &error), kIOReturnNotWritable));
    cr_expect(not(may_talk(approvals, "Good.dext", in_folder("program"))));
    expect_allowed(approvals, "Good.dext");
    dx_bundle_entry_destroy(entry);
    dx_approvals_close(approvals);
}

Test(approval, a_folder_that_others_may_write_is_refused)
{
    struct dx_approvals *approvals = NULL;
    dx_error error = {""};
    make_folder("approvals", 0777);
    cr_expect(eq(int, dx_approvals_open(folder, NULL, NULL, &approvals, &error), kIOReturnNotPermitted));
    expect_message(&error, "can be written by others");
    cr_expect(eq(int, dx_approvals_open(in_folder("none"), NULL, NULL, &approvals, &error), kIOReturnNotWritable));
}
