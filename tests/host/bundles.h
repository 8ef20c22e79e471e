// SPDX-License-Identifier: MIT
// Bundles on the disk, as a test wants them.  A shared object that is only looked at need not be one.

#ifndef DX_TESTS_HOST_BUNDLES_H
#define DX_TESTS_HOST_BUNDLES_H

#include "folder.h"
#include "host/catalogue.h"

static inline void
write_info(const char *bundle, const char *identifier, const char *version, const char *more)
{
    char path[600];
    char text[2000];
    (void)snprintf(path, sizeof path, "%s/Info.plist", bundle);
    (void)snprintf(text, sizeof text,
                   "<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>%s</string>"
                   "<key>CFBundleVersion</key><string>%s</string>%s"
                   "<key>IOKitPersonalities</key><dict><key>P</key><dict><key>IOUserClass</key><string>D</string>"
                   "<key>IOProviderClass</key><string>IOUserResources</string>"
                   "<key>IOUserAudioDriverUserClientProperties</key><dict><key>IOClass</key>"
                   "<string>IOUserUserClient</string><key>IOUserClass</key>"
                   "<string>IOUserAudioDriverUserClient</string></dict></dict></dict></dict></plist>\n",
                   identifier, version, more);
    write_file(path, text);
}

/* A bundle Name.dext with Info.plist and Name.so. */
static inline void
make_bundle(const char *path, const char *identifier)
{
    char file[600];
    const char *const name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    make_folder(path, 0755);
    write_info(path, identifier, "1", "");
    (void)snprintf(file, sizeof file, "%s/%.*s.so", path, (int)(strlen(name) - strlen(".dext")), name);
    write_file(file, "");
}

/* `inside` is what is in the property list's dictionary. */
static inline void
write_entitlements(const char *path, const char *inside)
{
    char text[4200];
    (void)snprintf(text, sizeof text, "<plist version=\"1.0\"><dict>%.4000s</dict></plist>\n", inside);
    write_file(path, text);
}

static inline struct dx_bundle_entry *
read_bundle(const char *path)
{
    struct dx_bundle_entry *entry = NULL;
    cr_assert(eq(int, dx_bundle_entry_read(path, NULL, &entry), kIOReturnSuccess));
    return entry;
}

/* One that may be run. */
static inline struct dx_bundle_entry *
read_good_bundle(const char *path)
{
    struct dx_bundle_entry *const entry = read_bundle(path);
    cr_assert(eq(str, entry->why, TEXT("")));
    return entry;
}

#endif /* DX_TESTS_HOST_BUNDLES_H */
