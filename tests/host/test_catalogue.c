// SPDX-License-Identifier: MIT
// Bundles that are found, and each reason for which one may not be run.

#include "host/catalogue.h"

#include "bundles.h"
#include "host/store.h"

#include <time.h>

TestSuite(catalogue, .init = enter_folder, .fini = leave_folder);

static void
expect_refused_in(const char *path, const char *root, const char *message)
{
    struct dx_bundle_entry *entry = NULL;
    cr_assert(eq(int, dx_bundle_entry_read(path, root, &entry), kIOReturnSuccess));
    cr_expect(strstr(entry->why, message) != NULL, "\"%s\" in \"%s\"", message, entry->why);
    cr_expect(ne(ptr, entry->folder, NULL));
    dx_bundle_entry_destroy(entry);
}

static void
expect_refused(const char *path, const char *message)
{
    expect_refused_in(path, NULL, message);
}

static void
expect_good(const char *path)
{
    dx_bundle_entry_destroy(read_good_bundle(path));
}

static void
run(const char *command)
{
    cr_assert(eq(int, system(command), 0), "%s", command);
}

Test(catalogue, a_bundle_says_what_it_is)
{
    make_bundle("Good.dext", "org.example.good");
    struct dx_bundle_entry *const entry = read_good_bundle("./Good.dext/");
    cr_expect(eq(str, entry->folder, TEXT(in_folder("Good.dext"))));
    cr_expect(eq(str, entry->executable, TEXT(in_folder("Good.dext/Good.so"))));
    cr_expect(eq(str, TEXT(entry->info.identifier), TEXT("org.example.good")));
    cr_expect(eq(str, TEXT(entry->info.version), TEXT("1")));
    cr_expect(eq(sz, entry->info.personality_count, 1));
    cr_expect(eq(u32, entry->owner, geteuid()));
    cr_expect(eq(sz, entry->entitlements.count, 0));
    cr_expect(not(entry->is_kind));
    dx_bundle_entry_destroy(entry);
    dx_bundle_entry_destroy(NULL);
}

Test(catalogue, what_is_no_bundle_is_refused)
{
    expect_refused("None.dext", "None.dext: No such file");
    make_folder("Empty.dext", 0755);
    expect_refused("Empty.dext", "has no Info.plist");
    make_bundle("Name.txt", "a.b");
    expect_refused("Name.txt", "is no folder Name.dext");
    write_file("File.dext", "");
    expect_refused("File.dext", "is no folder Name.dext");
    expect_refused("/", "is no folder Name.dext");
    make_bundle("Good.dext", "a.b");
    write_file("Good.dext/Info.plist", "<plist>");
    expect_refused("Good.dext", "Info.plist");
    cr_assert(eq(int, truncate("Good.dext/Info.plist", 2 << 20), 0));
    expect_refused("Good.dext", "larger than");
}

Test(catalogue, an_executable_that_is_not_there_is_refused)
{
    make_bundle("Good.dext", "a.b");
    run("rm Good.dext/Good.so");
    expect_refused("Good.dext", "Good.so: No such file");
    run("mkdir Good.dext/Good.so");
    expect_refused("Good.dext", "Good.so is no regular file");
}

Test(catalogue, an_executable_elsewhere_is_refused)
{
    static const char *const names[] = {"../Other.so", "/usr/lib/Other.so", "..", ".", "sub/Other.so"};
    make_bundle("Good.dext", "a.b");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char more[200];
        (void)snprintf(more, sizeof more, "<key>CFBundleExecutable</key><string>%s</string>", names[i]);
        write_info("Good.dext", "a.b", "1", more);
        expect_refused("Good.dext", "CFBundleExecutable");
    }
    write_info("Good.dext", "a.b", "1", "<key>CFBundleExecutable</key><string>Inner</string>");
    expect_refused("Good.dext", "Inner.so: No such file");
    write_file("Good.dext/Inner.so", "");
    expect_good("Good.dext");
}

Test(catalogue, a_link_that_leads_out_of_the_bundle_is_refused)
{
    make_bundle("Good.dext", "a.b");
    write_file("outside.so", "");
    run("ln -s Good.so Good.dext/Alias.so");
    expect_good("Good.dext"); // it stays inside
    run("rm Good.dext/Alias.so; ln -sf ../outside.so Good.dext/Good.so");
    expect_refused("Good.dext", "Good.so leads out of the bundle");
    run("rm Good.dext/Good.so; cp outside.so Good.dext/Good.so; ln -s /etc Good.dext/data");
    expect_refused("Good.dext", "data leads out of the bundle, to /etc");
    run("rm Good.dext/data; mkdir Good.dext/sub; ln -s ../../Good.dext-twin Good.dext/sub/x; mkdir "
        "Good.dext-twin");
    expect_refused("Good.dext", "sub/x leads out of the bundle"); // whose path begins like the bundle's
    run("rm Good.dext/sub/x; mv Good.dext/Info.plist Good.dext/i; ln -s i Good.dext/Info.plist");
    expect_refused("Good.dext", "Info.plist is a symbolic link");
    run("rm Good.dext/Info.plist; mv Good.dext/i Good.dext/Info.plist; ln -s nowhere Good.dext/x");
    expect_refused("Good.dext", "Good.dext/x: No such file");
}

Test(catalogue, a_bundle_that_leads_out_of_its_driver_folder_is_refused)
{
    make_folder("drivers", 0755);
    make_bundle("Good.dext", "a.b");
    run("ln -s ../Good.dext drivers/Good.dext");
    expect_refused_in("drivers/Good.dext", "drivers", "it leads out of");
    make_folder("drivers-twin", 0755);
    run("mv Good.dext drivers-twin/; ln -sf ../drivers-twin/Good.dext drivers/Twin.dext");
    expect_refused_in("drivers/Twin.dext", "drivers", "it leads out of");
    expect_refused_in("drivers/../drivers-twin/Good.dext", "drivers", "it leads out of");
    expect_refused_in("drivers-twin/Good.dext", "none", "none: No such file");
    struct dx_bundle_entry *entry = NULL;
    cr_assert(eq(int, dx_bundle_entry_read("drivers-twin/Good.dext", "drivers-twin", &entry), kIOReturnSuccess));
    cr_expect(eq(str, entry->why, TEXT("")));
    dx_bundle_entry_destroy(entry);
}

Test(catalogue, what_others_may_write_is_refused)
{
    static const struct {
        const char *path;
        const char *mode;
        const char *back;
    } cases[] = {
        {"all/drivers/Good.dext", "0775", "0755"},
        {"all/drivers/Good.dext", "0757", "0755"},
        {"all/drivers/Good.dext", "1777", "0755"}, // the bundle itself may not even be sticky
        {"all/drivers/Good.dext/Info.plist", "0666", "0644"},
        {"all/drivers/Good.dext/Good.so", "0664", "0644"},
        {"all/drivers/Good.dext/sub/data", "0646", "0644"},
        {"all/drivers/Good.dext/sub", "0775", "0755"},
        {"all/drivers", "0777", "0755"},
        {"all", "0775", "0755"},
    };
    run("mkdir -p all/drivers");
    make_bundle("all/drivers/Good.dext", "a.b");
    run("mkdir all/drivers/Good.dext/sub; touch all/drivers/Good.dext/sub/data");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char command[200];
        char message[300];
        (void)snprintf(command, sizeof command, "chmod %s %s", cases[i].mode, cases[i].path);
        run(command);
        (void)snprintf(message, sizeof message, "%s can be written by others (mode %s)",
                       in_folder("%s", cases[i].path), cases[i].mode);
        expect_refused_in("all/drivers/Good.dext", "all", message);
        (void)snprintf(command, sizeof command, "chmod %s %s", cases[i].back, cases[i].path);
        run(command);
    }
    run("chmod 1777 all/drivers"); // a sticky folder keeps what is in it
    expect_good("all/drivers/Good.dext");
    run("chmod 0777 all"); // beyond the driver folder
    expect_good("all/drivers/Good.dext");
}

Test(catalogue, what_belongs_to_somebody_else_is_refused)
{
    static const char *const paths[] = {"drivers/Good.dext", "drivers/Good.dext/Info.plist",
                                        "drivers/Good.dext/Good.so", "drivers/Good.dext/sub/data", "drivers"};
    run("mkdir -p drivers");
    make_bundle("drivers/Good.dext", "a.b");
    run("mkdir drivers/Good.dext/sub; touch drivers/Good.dext/sub/data");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        give_to_stranger(paths[i]);
        expect_refused("drivers/Good.dext", "belongs to user 54321: only drivers of this user (0) and of root");
        cr_assert(eq(int, chown(paths[i], 0, 0), 0));
    }
    expect_good("drivers/Good.dext");
}

Test(catalogue, root_and_the_user_himself_may_own_drivers)
{
    make_bundle("Roots.dext", "a.roots");
    make_bundle("Mine.dext", "a.mine");
    give_to_stranger("Mine.dext");
    give_to_stranger("Mine.dext/Info.plist");
    give_to_stranger("Mine.dext/Mine.so");
    become_stranger();
    struct dx_bundle_entry *const roots = read_good_bundle("Roots.dext");
    struct dx_bundle_entry *const mine = read_good_bundle("Mine.dext");
    cr_expect(eq(u32, roots->owner, 0));
    cr_expect(eq(u32, mine->owner, STRANGER));
    dx_bundle_entry_destroy(roots);
    dx_bundle_entry_destroy(mine);
    cr_assert(eq(int, seteuid(0), 0));
    cr_assert(eq(int, chmod("Roots.dext/Info.plist", 0600), 0));
    cr_assert(eq(int, seteuid(STRANGER), 0));
    expect_refused("Roots.dext", "Info.plist: Permission denied");
    become_oneself();
}

Test(catalogue, what_is_neither_file_nor_folder_is_refused)
{
    make_bundle("Good.dext", "a.b");
    cr_assert(eq(int, mkfifo("Good.dext/pipe", 0600), 0));
    expect_refused("Good.dext", "pipe is neither a file nor a folder");
}

Test(catalogue, a_bundle_without_bounds_is_refused)
{
    make_bundle("Deep.dext", "a.b");
    run("mkdir -p Deep.dext/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16");
    expect_good("Deep.dext");
    run("mkdir -p Deep.dext/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17");
    expect_refused("Deep.dext", "more than 4096 files, or is nested deeper than 16");
    make_bundle("Many.dext", "a.b");
    run("cd Many.dext && seq 4093 | xargs touch");
    expect_good("Many.dext"); // with the bundle itself, Info.plist and the shared object
    run("touch Many.dext/more");
    expect_refused("Many.dext", "more than 4096 files");
}

static void
expect_entitlements(const struct dx_entitlements *entitlements, const char *const *expected)
{
    size_t count = 0;
    while (expected[count])
        count++;
    cr_assert(eq(sz, entitlements->count, count));
    for (size_t i = 0; i < count; i++)
        cr_expect(eq(str, entitlements->texts[i], TEXT(expected[i])));
}

Test(catalogue, entitlements_are_texts_that_can_be_compared)
{
    static const char *const expected[] = {
        "array=\"one\"", "array=\"two\\\"\\\\\"", "com.apple.security.network.client",
        "data=<00FF>",   "dict=\"a\":true",       "dict=\"b\":[1,{\"x\":false,\"y\":\"\"}]",
        "number=-1",     "string=\"5\"",          NULL,
    };
    make_bundle("Good.dext", "a.b");
    write_entitlements(
        "Good.dext/Good.entitlements",
        "<key>string</key><string>5</string><key>number</key><integer>-1</integer>"
        "<key>com.apple.security.network.client</key><true/><key>not.asked</key><false/>"
        "<key>array</key><array><string>one</string><string>two\"\\</string><string>one</string></array>"
        "<key>dict</key><dict><key>b</key><array><integer>1</integer><dict><key>y</key><string></string>"
        "<key>x</key><false/></dict></array><key>a</key><true/></dict>"
        "<key>data</key><data>AP8=</data><key>empty</key><array/>");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    expect_entitlements(&entry->entitlements, expected);
    cr_expect(dx_entitlements_have(&entry->entitlements, DX_ENTITLEMENT_NETWORK_CLIENT));
    cr_expect(not(dx_entitlements_have(&entry->entitlements, DX_ENTITLEMENT_NETWORK_SERVER)));
    cr_expect(not(dx_entitlements_have(&entry->entitlements, "not.asked")));
    dx_bundle_entry_destroy(entry);
}

Test(catalogue, entitlements_that_are_not_clear_are_refused)
{
    make_bundle("Good.dext", "a.b");
    write_file("Good.dext/Good.entitlements", "nonsense");
    expect_refused("Good.dext", "Good.entitlements is no property list");
    write_entitlements("Good.dext/Good.entitlements", "<key>a</key><true/><key>a</key><false/>");
    expect_refused("Good.dext", "Good.entitlements contradicts itself");
    write_entitlements("Good.dext/Good.entitlements", "<key>a</key><real>1.5</real>");
    expect_refused("Good.dext", "Good.entitlements: a is a real number");
    write_entitlements("Good.dext/Good.entitlements", "<key>a</key><true/>");
    write_entitlements("Good.dext/Entitlements.plist", "<key>a</key><true/>");
    expect_refused("Good.dext", "has both Good.entitlements and Entitlements.plist");
    run("rm Good.dext/Good.entitlements");
    struct dx_bundle_entry *const entry = read_good_bundle("Good.dext");
    cr_expect(dx_entitlements_have(&entry->entitlements, "a"));
    dx_bundle_entry_destroy(entry);
    run("rm Good.dext/Entitlements.plist; ln -s Good.so Good.dext/Entitlements.plist");
    expect_refused("Good.dext", "Entitlements.plist is a symbolic link");

    char inside[4000];
    char text[600];
    size_t length = 0;
    run("rm Good.dext/Entitlements.plist");
    for (int i = 0; i < 65; i++)
        length += (size_t)snprintf(inside + length, sizeof inside - length, "<key>k%d</key><true/>", i);
    write_entitlements("Good.dext/Good.entitlements", inside);
    expect_refused("Good.dext", "asks for more than 64 things");
    memset(text, 'x', sizeof text - 1);
    text[511 - strlen("k=\"\"")] = '\0';
    (void)snprintf(inside, sizeof inside, "<key>k</key><string>%s</string>", text);
    write_entitlements("Good.dext/Good.entitlements", inside);
    expect_good("Good.dext");
    (void)snprintf(inside, sizeof inside, "<key>k</key><string>x%s</string>", text);
    write_entitlements("Good.dext/Good.entitlements", inside);
    expect_refused("Good.dext", "k has a member of more than 511 bytes");
}

Test(catalogue, folders_are_searched_in_order)
{
    run("mkdir first second");
    make_bundle("second/A.dext", "org.a");
    make_bundle("first/Z.dext", "org.z");
    make_bundle("first/B.dext", "org.b");
    make_bundle("second/Z2.dext", "org.z"); // the same one, in another place
    make_bundle("first/.Hidden.dext", "org.hidden");
    make_folder("first/Plain", 0755);
    make_bundle("first/Bad.dext", "org.bad");
    run("chmod g+w first/Bad.dext");
    make_bundle("Given.dext", "org.given");

    const char *const paths[] = {"Given.dext", "None.dext", "first/B.dext", NULL};
    const char *const folders[] = {"first", "nowhere", "second", "first", NULL};
    static const struct {
        const char *folder;
        const char *why;
    } expected[] = {
        {"Given.dext", NULL},
        {"None.dext", "No such file"},
        {"first/B.dext", NULL}, // once, although it is found again
        {"first/Bad.dext", "can be written by others"},
        {"first/Z.dext", NULL},
        {"second/A.dext", NULL},
        {"second/Z2.dext", "another bundle org.z comes before it"},
    };
    struct dx_catalogue catalogue = {0};
    cr_assert(eq(int, dx_catalogue_scan(paths, folders, &catalogue, NULL), kIOReturnSuccess));
    cr_assert(eq(sz, catalogue.count, sizeof expected / sizeof expected[0]));
    for (size_t i = 0; i < catalogue.count; i++) {
        const struct dx_bundle_entry *const entry = catalogue.entries[i];
        cr_expect(strstr(entry->folder, expected[i].folder) != NULL, "%s", entry->folder);
        if (expected[i].why)
            cr_expect(strstr(entry->why, expected[i].why) != NULL, "%s", entry->why);
        else
            cr_expect(eq(str, TEXT(entry->why), TEXT("")));
    }
    cr_expect(eq(ptr, TEXT(dx_catalogue_find(&catalogue, "org.z")), catalogue.entries[4]));
    cr_expect(eq(ptr, TEXT(dx_catalogue_find(&catalogue, "org.none")), NULL));
    dx_catalogue_finish(&catalogue);
    dx_catalogue_finish(&catalogue); // again
    cr_assert(eq(int, dx_catalogue_scan(NULL, NULL, &catalogue, NULL), kIOReturnSuccess));
    cr_expect(eq(sz, catalogue.count, 0));
}

Test(catalogue, a_driver_folder_that_cannot_be_read_is_told_of)
{
    write_file("file", "");
    const char *const folders[] = {"file", NULL};
    struct dx_catalogue catalogue = {0};
    cr_assert(eq(int, dx_catalogue_scan(NULL, folders, &catalogue, NULL), kIOReturnSuccess));
    cr_assert(eq(sz, catalogue.count, 1));
    cr_expect(strstr(catalogue.entries[0]->why, "file: Not a directory") != NULL);
    dx_catalogue_finish(&catalogue);
}

Test(catalogue, a_bundle_that_may_be_run_is_found_before_one_that_may_not)
{
    run("mkdir first second");
    make_bundle("first/A.dext", "org.a");
    run("rm first/A.dext/A.so");
    make_bundle("second/A.dext", "org.a");
    const char *const folders[] = {"first", "second", NULL};
    struct dx_catalogue catalogue = {0};
    cr_assert(eq(int, dx_catalogue_scan(NULL, folders, &catalogue, NULL), kIOReturnSuccess));
    cr_assert(eq(sz, catalogue.count, 2));
    cr_expect(eq(ptr, TEXT(dx_catalogue_find(&catalogue, "org.a")), catalogue.entries[1]));
    dx_catalogue_finish(&catalogue);
}

Test(catalogue, a_replaced_bundle_has_another_stamp)
{
    static const char *const changes[] = {
        "cp Good.dext/Good.so x && echo new >> x && mv x Good.dext/Good.so",
        "touch -d '2001-01-01' Good.dext/Good.so",
        "touch -d '2001-01-01' Good.dext/Info.plist",
        "cp -p Good.dext/Info.plist x && mv x Good.dext/Info.plist", // another file, same content and time
        "echo '<plist version=\"1.0\"><dict/></plist>' > Good.dext/Good.entitlements",
        "rm Good.dext/Good.entitlements",
    };
    make_bundle("Good.dext", "a.b");
    struct dx_bundle_entry *before = read_good_bundle("Good.dext");
    struct dx_bundle_entry *const same = read_good_bundle("Good.dext");
    cr_expect(dx_bundle_stamp_is_equal(&before->stamp, &same->stamp));
    dx_bundle_entry_destroy(same);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        run(changes[i]);
        struct dx_bundle_entry *const after = read_good_bundle("Good.dext");
        cr_expect(not(dx_bundle_stamp_is_equal(&before->stamp, &after->stamp)), "%s", changes[i]);
        dx_bundle_entry_destroy(before);
        before = after;
    }
    dx_bundle_entry_destroy(before);
}

Test(catalogue, the_bundle_of_a_kind_is_checked_like_every_other)
{
    const struct dx_kind *const kind = dx_kind_find("cable");
    struct dx_bundle_entry *entry = NULL;
    cr_assert(eq(int, dx_bundle_entry_read_kind(kind, BUILD "/examples", &entry), kIOReturnSuccess));
    cr_expect(eq(str, entry->why, TEXT("")));
    cr_expect(entry->is_kind);
    cr_expect(eq(str, TEXT(entry->info.personalities[0].name), TEXT(kind->user_class)));
    dx_bundle_entry_destroy(entry);

    make_bundle("Cable.dext", "org.example.impostor");
    cr_assert(eq(int, dx_bundle_entry_read_kind(kind, folder, &entry), kIOReturnSuccess));
    cr_expect(strstr(entry->why, "is org.example.impostor, but org.dextral.driver.cable is expected") != NULL);
    dx_bundle_entry_destroy(entry);
    run("chmod o+w Cable.dext");
    cr_assert(eq(int, dx_bundle_entry_read_kind(kind, folder, &entry), kIOReturnSuccess));
    cr_expect(strstr(entry->why, "can be written by others") != NULL);
    dx_bundle_entry_destroy(entry);
    cr_assert(eq(int, dx_bundle_entry_read_kind(kind, in_folder("none"), &entry), kIOReturnSuccess));
    cr_expect(strstr(entry->why, "No such file") != NULL);
    dx_bundle_entry_destroy(entry);
}
