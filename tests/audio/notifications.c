// SPDX-License-Identifier: MIT
// A host that only writes down which properties it was told of.

#include "notifications.h"

#include "audio/host.h"
#include "audio/object.h"

#include <stdio.h>
#include <string.h>

/* Calls come on the work queue, while the test waits for the setter that caused them. */
#define RECORDS_AT_MOST 64
static struct record {
    IOUserAudioObjectID object;
    uint32_t count;
    IOUserAudioObjectPropertySelector selectors[8];
} records[RECORDS_AT_MOST];
static unsigned record_count;

static char host_stand_in; // its address is the host

void __wrap_dx_host_properties_changed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID object,
                                       const IOUserAudioObjectPropertySelector *selectors, uint32_t count);

void
__wrap_dx_host_properties_changed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID object,
                                  const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    (void)driver;
    if ((void *)host != &host_stand_in || record_count == RECORDS_AT_MOST)
        return;
    struct record *const record = &records[record_count++];
    record->object = object;
    record->count = count < 8 ? count : 8;
    memcpy(record->selectors, selectors, record->count * sizeof *selectors);
}

IOUserAudioDriver *
notifications_driver_create(void)
{
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    if (!driver)
        return NULL;
    if (!IOUserAudioDriverInit(driver) || IOUserAudioDriverStart(driver, NULL) != kIOReturnSuccess) {
        OSObjectRelease(driver);
        return NULL;
    }
    (void)dx_driver_link_attach(dx_driver_get_link(driver),
                                (dx_host *)(void *)&host_stand_in); // it is new: it has none
    return driver;
}

void
notifications_driver_destroy(IOUserAudioDriver *driver)
{
    if (!driver)
        return;
    dx_driver_link_detach(dx_driver_get_link(driver));
    (void)IOUserAudioDriverStop(driver, NULL); // nothing to do about a failure here
    OSObjectRelease(driver);
}

void
notifications_adopt(IOUserAudioObjectPtr object)
{
    IOUserAudioObject *const o = object;
    /* relaxed: the test's own thread. */
    atomic_store_explicit(&o->owner_id, kIOUserAudioObjectIDDriver, memory_order_relaxed);
}

const char *
notifications_take(IOUserAudioObjectID object)
{
    static char text[RECORDS_AT_MOST * 64];
    size_t length = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < record_count; i++) {
        const struct record *const record = &records[i];
        if (i > 0)
            length += (size_t)snprintf(text + length, sizeof text - length, " | ");
        if (record->object != object) {
            length += (size_t)snprintf(text + length, sizeof text - length, "other");
            continue;
        }
        for (uint32_t s = 0; s < record->count; s++) {
            const uint32_t code = record->selectors[s];
            length += (size_t)snprintf(text + length, sizeof text - length, "%s'%c%c%c%c'", s ? " " : "",
                                       (char)(code >> 24), (char)(code >> 16), (char)(code >> 8), (char)code);
        }
    }
    record_count = 0;
    return text;
}
