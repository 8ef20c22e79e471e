// SPDX-License-Identifier: MIT
// dextral usb: USB network adapters, and what goes over the bus.

#include "backends/usb/adapter.h"
#include "backends/usb/capture.h"
#include "backends/usb/usb.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 50000000u // how soon a capture ends after Ctrl-C

enum usb_option {
    OPTION_DEVICE,
    OPTION_SECONDS,
    OPTION_FRAMES,
    OPTION_JSON,
};

static const struct cli_option usb_options[] = {
    [OPTION_DEVICE] = {"device", "DEVICE",
                       "capture: which adapter, by its path (1-2.3) or its ids (0b95:772b);\n"
                       "default: the only one that a driver takes",
                       'd', false},
    [OPTION_SECONDS] = {"seconds", "S", "capture: how long; default: until Ctrl-C", 0, false},
    [OPTION_FRAMES] = {"frames", NULL, "capture: Ethernet frames as well, as a second interface of the file", 0,
                       false},
    [OPTION_JSON] = {"json", NULL, "list: as JSON, an array of devices", 0, false},
};

struct usb_request {
    const char *action;
    const char *file;
    const char *device;
    double seconds; // 0: until somebody ends it
    bool has_frames;
    bool wants_json;
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct usb_request *const request = context;
    switch ((enum usb_option)option) {
    case OPTION_DEVICE:
        request->device = value;
        break;
    case OPTION_SECONDS:
        if (!cli_parse_real(value, 0.01, 1e6, &request->seconds))
            return cli_fail(CLI_USAGE, "usb: --seconds %s: expected seconds, 0.01 to 1000000", value);
        break;
    case OPTION_FRAMES:
        request->has_frames = true;
        break;
    case OPTION_JSON:
        request->wants_json = true;
        break;
    }
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct usb_request *const request = context;
    if (!request->action) {
        if (strcmp(value, "list") != 0 && strcmp(value, "capture") != 0)
            return cli_fail(CLI_USAGE, "usb: what is '%s'? It is: dextral usb list, or dextral usb capture FILE",
                            value);
        request->action = value;
    } else if (strcmp(request->action, "capture") == 0 && !request->file) {
        request->file = value;
    } else {
        return cli_fail(CLI_USAGE, "usb %s: what is '%s'?", request->action, value);
    }
    return CLI_OK;
}

static int
check_request(const struct usb_request *request)
{
    if (!request->action)
        return cli_fail(CLI_USAGE, "usb: what? It is: dextral usb list, or dextral usb capture FILE");
    const bool is_list = strcmp(request->action, "list") == 0;
    if (is_list && (request->device || request->seconds > 0.0 || request->has_frames))
        return cli_fail(CLI_USAGE, "usb list: --device, --seconds and --frames are of 'usb capture'");
    if (!is_list && request->wants_json)
        return cli_fail(CLI_USAGE, "usb capture: --json is of 'usb list'");
    if (!is_list && !request->file)
        return cli_fail(CLI_USAGE, "usb capture: into which file? dextral usb capture FILE.pcapng");
    return request->wants_json ? cli_check_json("usb") : CLI_OK;
}

/* list */

static const char *
speed_text(enum dx_usb_speed speed)
{
    static const char *const texts[] = {[DX_USB_SPEED_UNKNOWN] = "",
                                        [DX_USB_LOW] = "low",
                                        [DX_USB_FULL] = "full",
                                        [DX_USB_HIGH] = "high",
                                        [DX_USB_SUPER] = "super"};
    return texts[speed];
}

static int
print_entries(const struct dx_usb_entry *entries, size_t count)
{
    static const struct cli_column columns[] = {
        {"PATH", false},   {"ID", false},      {"SPEED", false}, {"NAME", false},
        {"DRIVER", false}, {"HELD BY", false}, {"OPEN", false},
    };
    struct cli_table table;
    if (count == 0) {
        cli_note("there are no USB devices");
        return CLI_OK;
    }
    cli_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const struct dx_usb_entry *const entry = &entries[i];
        cli_table_add(&table, "%s", entry->path);
        cli_table_add(&table, "%04x:%04x", entry->vendor, entry->product);
        cli_table_add(&table, "%s", speed_text(entry->speed));
        cli_table_add(&table, "%s%s%s", entry->manufacturer, *entry->manufacturer && *entry->name ? " " : "",
                      entry->name);
        cli_table_add(&table, "%s%s", entry->driver ? entry->driver : "", *entry->why ? " (see below)" : "");
        cli_table_add(&table, "%s", entry->kernel_drivers);
        cli_table_add(&table, "%s", entry->access == 0 ? "yes" : "no");
    }
    const int code = cli_table_print(&table, stdout, 0);
    cli_table_finish(&table);
    return code;
}

/* What keeps adapters from being used. */
static void
explain_entries(const struct dx_usb_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char why[256];
        if (entries[i].driver && *entries[i].why)
            cli_note("%s: %s does not take it: %s", entries[i].path, entries[i].driver, entries[i].why);
        if (!entries[i].driver || entries[i].access == 0)
            continue;
        dx_usb_explain(entries[i].access, entries[i].path, entries[i].node, why);
        cli_note("%s", why);
    }
}

static OSDictionary *
describe_entry(const struct dx_usb_entry *entry)
{
    OSDictionary *const description = OSDictionaryCreate(0);
    char vendor[8];
    char product[8];
    (void)snprintf(vendor, sizeof vendor, "%04x", entry->vendor);
    (void)snprintf(product, sizeof product, "%04x", entry->product);
    const struct {
        const char *key;
        const char *value;
    } texts[] = {
        {"path", entry->path},
        {"node", entry->node},
        {"vendor", vendor},
        {"product", product},
        {"speed", speed_text(entry->speed)},
        {"manufacturer", entry->manufacturer},
        {"name", entry->name},
        {"serial", entry->serial},
        {"driver", entry->driver ? entry->driver : ""},
        {"why", entry->why},
        {"kernel-drivers", entry->kernel_drivers},
    };
    bool is_whole = description && OSDictionarySetUInt64Value(description, "bus", entry->bus) &&
                    OSDictionarySetUInt64Value(description, "address", entry->address) &&
                    cli_set_switch(description, "may-open", entry->access == 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && is_whole; i++)
        is_whole = OSDictionarySetStringValue(description, texts[i].key, texts[i].value);
    if (!is_whole)
        OSObjectRelease(description);
    return is_whole ? description : NULL;
}

static int
print_json(const struct dx_usb_entry *entries, size_t count)
{
    OSArray *const array = OSArrayCreate(count);
    bool is_whole = array;
    for (size_t i = 0; i < count && is_whole; i++)
        is_whole = cli_take_member(array, describe_entry(&entries[i]));
    const int code = is_whole ? cli_print_json(array, false) : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(array);
    return code;
}

static int
list_usb(const struct usb_request *request)
{
    struct dx_usb_entry *entries = NULL;
    size_t count = 0;
    if (dx_usb_list("", &entries, &count) < 0)
        return cli_fail(CLI_FAILED, "no memory");
    int code = request->wants_json ? print_json(entries, count) : print_entries(entries, count);
    if (code == CLI_OK)
        code = cli_finish_output();
    if (code == CLI_OK && !request->wants_json)
        explain_entries(entries, count);
    free(entries);
    return code;
}

/* capture */

/* The adapter that is meant, or the only one. */
static int
find_adapter(const struct usb_request *request, char ret_name[64])
{
    struct dx_usb_entry *entries = NULL;
    struct cli_list others = {.length = 0};
    size_t count = 0;
    size_t found = 0;
    if (request->device) {
        (void)snprintf(ret_name, 64, "%s", request->device);
        return CLI_OK;
    }
    if (dx_usb_list("", &entries, &count) < 0)
        return cli_fail(CLI_FAILED, "no memory");
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].driver || *entries[i].why)
            continue;
        (void)snprintf(ret_name, 64, "%s", entries[i].path);
        cli_list_append(&others, entries[i].path, entries[i].name);
        found++;
    }
    free(entries);
    if (found == 0)
        return cli_fail(CLI_USAGE, "usb capture: there is no adapter that a driver takes; 'dextral usb list' shows "
                                   "what there is");
    return found == 1 ? CLI_OK
                      : cli_fail(CLI_USAGE, "usb capture: which one? --device PATH: %s", others.text);
}

/* Its place in the list; all 0 where it is not known. */
static struct dx_usb_entry
find_entry(const struct dx_usb_device *device)
{
    struct dx_usb_entry found = {.path = ""};
    struct dx_usb_entry *entries = NULL;
    size_t count = 0;
    if (dx_usb_list("", &entries, &count) < 0)
        return found;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].path, device->path) == 0)
            found = entries[i];
    }
    free(entries);
    return found;
}

/* Set on the adapter's thread, read by the one that waits. */
struct end {
    _Atomic bool is_gone;
};

static void
note_gone(void *context)
{
    struct end *const end = context;
    atomic_store_explicit(&end->is_gone, true, memory_order_relaxed); // nothing goes with it
}

static bool
is_written(const struct dx_usb_tap *tap)
{
    struct dx_usb_tap_counts counts;
    dx_usb_tap_get_counts(tap, &counts);
    return counts.error == 0;
}

/* Until Ctrl-C, the time is over, nobody takes what is written, or it is unplugged. Returns whether it was. */
static bool
wait_for_end(const struct usb_request *request, const struct dx_usb_tap *tap, const struct end *end)
{
    const struct timespec period = {.tv_nsec = PERIOD_NS};
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail for this clock
    const double start = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    double passed = 0.0;
    while (!cli_signal() && is_written(tap) && (request->seconds <= 0.0 || passed < request->seconds)) {
        if (atomic_load_explicit(&end->is_gone, memory_order_relaxed)) // nothing goes with it
            return true;
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL); // a signal ends it
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - start;
    }
    return false;
}

/* With the file open and the device watched. The device is closed then. */
static int
run_adapter(const struct usb_request *request, const struct dx_usb_tap *tap, struct dx_usb_device *device)
{
    struct end end = {false};
    const struct dx_adapter_config config = {.context = &end, .gone = note_gone};
    struct dx_adapter *adapter = NULL;
    char why[256] = "";
    char name[64];
    (void)snprintf(name, sizeof name, "%s", device->path);
    const int error = dx_adapter_open(device, &config, &adapter, why);
    if (error < 0) {
        dx_usb_close(device);
        return cli_fail_about(CLI_BAD_DRIVER, name, why);
    }
    const struct dx_nic_info *const info = dx_adapter_info(adapter);
    cli_note("%s: %s, MAC address %02x:%02x:%02x:%02x:%02x:%02x; Ctrl-C ends it", name, info->chip, info->mac[0],
             info->mac[1], info->mac[2], info->mac[3], info->mac[4], info->mac[5]);
    const bool was_unplugged = wait_for_end(request, tap, &end);
    dx_adapter_close(adapter);
    return was_unplugged ? cli_fail(CLI_FAILED, "%s: it was unplugged", name) : CLI_OK;
}

static int
capture_into(const struct usb_request *request, int fd, struct dx_usb_device *device)
{
    const struct dx_usb_entry entry = find_entry(device);
    const struct dx_usb_tap_config config = {.fd = fd,
                                             .name = device->path,
                                             .bus = entry.bus, // as other captures have them
                                             .address = entry.address,
                                             .has_frames = request->has_frames};
    struct dx_usb_tap_counts counts;
    struct dx_usb_tap *tap = NULL;
    (void)dx_usb_guard(entry.node); // without it the kernel's driver comes back all the same, but after SIGKILL
    const int error = dx_usb_tap_open(&config, &tap);
    if (error < 0) {
        dx_usb_close(device);
        return cli_fail(CLI_BAD_OUTPUT, "%s: %s", request->file, strerror(-error));
    }
    dx_usb_tap_attach(tap, device);
    int code = run_adapter(request, tap, device);
    dx_usb_tap_close(tap, &counts);
    if (counts.error < 0)
        return cli_fail(CLI_BAD_OUTPUT, "%s: %s", request->file, strerror(-counts.error));
    if (counts.dropped > 0)
        cli_note("%s: %llu records did not fit and are missing", request->file, (unsigned long long)counts.dropped);
    cli_note("%s: %llu records of transfers, %llu frames", request->file, (unsigned long long)counts.transfers,
             (unsigned long long)counts.frames);
    return code;
}

static int
capture_usb(const struct usb_request *request)
{
    const bool is_stdout = strcmp(request->file, "-") == 0;
    struct dx_usb_device *device = NULL;
    char name[64];
    char why[256] = "";
    int code = find_adapter(request, name);
    if (code != CLI_OK)
        return code;
    const int error = dx_usb_open(name, &device, why);
    if (error < 0)
        return cli_fail_about(error == -ENODEV || error == -EINVAL || error == -ENOTUNIQ ? CLI_USAGE
                              : error == -ENOSYS                                         ? CLI_FAILED
                                                                                         : CLI_BAD_DRIVER,
                              "usb capture", why);
    const int fd = is_stdout ? STDOUT_FILENO : open(request->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        code = cli_fail(CLI_BAD_OUTPUT, "%s: %s", request->file, strerror(errno));
        dx_usb_close(device);
        return code;
    }
    code = capture_into(request, fd, device);
    if (!is_stdout && close(fd) < 0 && code == CLI_OK)
        code = cli_fail(CLI_BAD_OUTPUT, "%s: %s", request->file, strerror(errno));
    return code;
}

static int
run_usb(const struct cli_command *command, int argc, char **argv)
{
    struct usb_request request = {0};
    struct cli_arguments arguments = {take_option, take_operand, &request, false};
    int code = cli_parse(command, &arguments, argc, argv);
    if (code == CLI_OK && arguments.wants_help)
        return cli_print_help(command);
    if (code == CLI_OK)
        code = check_request(&request);
    if (code != CLI_OK)
        return code;
    cli_catch_signals();
    return strcmp(request.action, "list") == 0 ? list_usb(&request) : capture_usb(&request);
}

const struct cli_command cli_usb = {
    .name = "usb",
    .summary = "lists USB network adapters, and records what goes over the bus",
    .usage = "list | capture FILE [OPTIONS]",
    .text = "'list' shows the machine's USB devices: which of Dextral's drivers would take one, which kernel driver\n"
            "holds it, and whether you may open it. 'capture' runs an adapter with Dextral's driver and writes what\n"
            "it sends and receives to FILE, in pcapng, for Wireshark; '-' is standard output.",
    .options = usb_options,
    .option_count = sizeof usb_options / sizeof usb_options[0],
    .run = run_usb,
};
