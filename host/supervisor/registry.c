// SPDX-License-Identifier: MIT
// The driver processes that there are, for the next supervisor: a file in the runtime folder.

#include "host/supervisor/unit.h"

#include "host/protocol.h"
#include "host/store.h"
#include "host/supervisor/usb.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_NAME "drivers"
#define MAX_FILE_BYTES ((size_t)4 << 20)
#define RECONNECT_NS (3 * DX_NS_PER_S)

/* {incarnation, drivers: [{unit, token, path, version, pid, start-time, incarnation}], taken: [{unit, port, bus, address,
 * interfaces}]}: taken from the kernel's drivers; the tokens are secrets. */

static OSDictionary *
describe_unit(const struct dx_unit *unit)
{
    OSDictionary *to = OSDictionaryCreate(8);
    if (to && !(OSDictionarySetStringValue(to, "unit", unit->key) &&
                OSDictionarySetStringValue(to, DX_KEY_TOKEN, unit->token) &&
                OSDictionarySetStringValue(to, "path", unit->path) &&
                OSDictionarySetStringValue(to, "version", unit->version) &&
                OSDictionarySetUInt64Value(to, "pid", (uint64_t)unit->pid) &&
                OSDictionarySetUInt64Value(to, "start-time", unit->start_time) &&
                OSDictionarySetUInt64Value(to, DX_KEY_INCARNATION, unit->incarnation)))
        OSSafeReleaseNULL(to);
    return to;
}

void
dx_registry_write(struct dx_supervisor *supervisor)
{
    OSDictionary *const root = OSDictionaryCreate(2);
    OSArray *const drivers = OSArrayCreate(4);
    char *const path = dx_join_path(supervisor->runtime_folder, FILE_NAME);
    bool done = root && drivers && path;
    for (const struct dx_unit *unit = supervisor->units; done && unit; unit = unit->next) {
        if (unit->pid <= 0)
            continue;
        OSDictionary *const item = describe_unit(unit);
        done = item && OSArraySetObject(drivers, item);
        OSObjectRelease(item);
    }
    done = root && dx_wire_take(root, "drivers", drivers) && done &&
           dx_wire_take(root, "taken", dx_usb_describe_taken(supervisor)) &&
           OSDictionarySetUInt64Value(root, DX_KEY_INCARNATION, supervisor->incarnation);
    OSData *const data = done ? OSSerializationCreateFromObject(root) : NULL;
    dx_error error = {"no memory"};
    if (!data || dx_file_replace_unflushed(path, OSDataGetBytesNoCopy(data), OSDataGetLength(data), &error) !=
                     kIOReturnSuccess)
        dx_log("a later supervisor would not know the drivers of this one: %s", error.message);
    OSObjectRelease(data);
    OSObjectRelease(root);
    free(path);
}

static bool
copy_string(char **to, const char *from)
{
    char *const copy = from ? strdup(from) : NULL;
    if (!copy)
        return false;
    free(*to);
    *to = copy;
    return true;
}

/* A process of a unit that there is no more. */
static void
end_stranger(struct dx_supervisor *supervisor, pid_t pid, uint64_t start_time)
{
    struct dx_unit *const unit = dx_unit_create(supervisor, "stranger", NULL, NULL, NULL);
    if (!unit)
        return;
    if (dx_unit_watch_process(unit, pid, start_time))
        dx_log("process %ld is of a driver that is known no more: killed", (long)pid);
    dx_unit_destroy(unit);
}

static void
read_unit(struct dx_supervisor *supervisor, const OSDictionary *from)
{
    const char *const key = dx_wire_get_string(from, "unit");
    const char *const token = dx_wire_get_string(from, DX_KEY_TOKEN);
    const uint64_t pid = dx_wire_get_number(from, "pid", 0);
    const uint64_t start_time = dx_wire_get_number(from, "start-time", 0);
    if (!key || !token || strlen(token) != DX_TOKEN_BYTES - 1 || pid == 0 || pid > INT32_MAX)
        return;
    struct dx_unit *const unit = dx_unit_find(supervisor, key);
    if (!unit || unit->pid > 0 || !copy_string(&unit->path, dx_wire_get_string(from, "path")) ||
        !copy_string(&unit->version, dx_wire_get_string(from, "version"))) {
        end_stranger(supervisor, (pid_t)pid, start_time);
        return;
    }
    if (!dx_unit_watch_process(unit, (pid_t)pid, start_time))
        return; // it has ended since
    memcpy(unit->token, token, DX_TOKEN_BYTES);
    unit->incarnation = (uint32_t)dx_wire_get_number(from, DX_KEY_INCARNATION, 0);
    unit->state = DX_UNIT_LOST;
    dx_loop_timer_set(unit->timer, RECONNECT_NS);
}

void
dx_registry_read(struct dx_supervisor *supervisor)
{
    dx_error error;
    char *bytes = NULL;
    size_t length = 0;
    char *const path = dx_join_path(supervisor->runtime_folder, FILE_NAME);
    if (!path || dx_file_read(path, MAX_FILE_BYTES, &bytes, &length, &error) != kIOReturnSuccess) {
        free(path);
        return;
    }
    OSObjectPtr const value = OSSerializationCopyObject(bytes, length);
    const OSDictionary *const root = OSDynamicCast(OSDictionary, value);
    const OSArray *const drivers = root ? dx_wire_get_array(root, "drivers") : NULL;
    if (root)
        supervisor->incarnation = (uint32_t)dx_wire_get_number(root, DX_KEY_INCARNATION, 0);
    for (size_t i = 0; drivers && i < OSArrayGetCount(drivers); i++) {
        const OSDictionary *const item = OSDynamicCast(OSDictionary, OSArrayGetObject(drivers, i));
        if (item)
            read_unit(supervisor, item);
    }
    if (root)
        dx_usb_recover_taken(supervisor, dx_wire_get_array(root, "taken"));
    OSObjectRelease(value);
    free(bytes);
    free(path);
}
