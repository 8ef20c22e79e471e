// SPDX-License-Identifier: MIT
// Serves a model: to this machine's vhci_hcd, or to whoever has the other end of a socket. Its wire is a TAP
// interface, or one end of a veth pair, in a network of its own; there something may echo.

#include "backends/usb/model.h"
#include "backends/usb/model_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "usage: usb_model [OPTION]... ax88772|ncm|ecm\n"
    "  --vhci PORT        attach to a port of vhci_hcd (0 to 7: high speed)\n"
    "  --fd N             serve this socket, which was inherited\n"
    "  --tap NAME         the wire is a TAP interface in an own network\n"
    "  --veth NAME        the wire is a pair of interfaces, NAME and NAMEx, in one too: for ordinary users\n"
    "  --address A.B.C.D  of that interface, /24\n"
    "  --echo PORT        answers there: UDP, the same bytes; `group A.B.C.D` goes to that group\n"
    "  --trace FILE       writes the requests down\n"
    "  --mac AA:BB:CC:DD:EE:FF  --strict  --full-speed\n"
    "  --stall N          each Nth transfer from a bulk or interrupt endpoint stalls, until the halt is cleared\n"
    "  --product 7720|772a|772b  --burst BYTES  --ntb-max BYTES  --ntb32  --ntb32-only  --ndp-first\n"
    "It ends when the other side does, prints what it has seen, and fails where a strict model was left deaf or\n"
    "anything the host sent made no sense.\n";

struct program {
    struct dx_model_options options;
    const char *kind, *tap, *veth, *address, *trace_path;
    int vhci_port, fd, echo_port;
    uint32_t stall_each, transfers; // 0: none stalls; those that were looked at
    FILE *trace;
};

static int status = 1; // of the process

__attribute__((noreturn)) static void
die(const char *what, const char *why)
{
    (void)fprintf(stderr, "usb_model: %s: %s\n", what, why);
    exit(1);
}

/* ---- what is told ---- */

static void
write_request(void *context, const struct dx_usb_setup *setup, const uint8_t *data, int result)
{
    FILE *const file = context;
    (void)fprintf(file, "%02x %02x value %04x index %04x length %u", setup->request_type, setup->request,
                  setup->value, setup->index, setup->length);
    if (result < 0)
        (void)fprintf(file, " fails %s", strerrorname_np(-result));
    const uint32_t n = setup->request_type & DX_USB_IN ? (result > 0 ? (uint32_t)result : 0) : setup->length;
    for (uint32_t i = 0; data && i < n && i < 32; i++)
        (void)fprintf(file, "%s%02x", i ? " " : ": ", data[i]);
    (void)fputc('\n', file);
    (void)fflush(file);
}

static const struct dx_usb_model_ops *model_ops;

static unsigned long long
read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed); // of the same thread
}

/* What came to the echo, and what it could not send back. */
static struct echoed {
    _Atomic uint64_t received, failed;
} *echoed;

/* The model's last call: it takes its counters with it. */
static void
print_and_destroy(struct dx_usb_model *model)
{
    const struct dx_model_counters *const counters = &model->counters;
    const char *const complaint = atomic_load_explicit(&model->complaint, memory_order_acquire);
    (void)printf("model: %llu to the host, %llu to the wire, %llu filtered, %llu deaf, %llu overrun, %llu bad\n",
                 read_counter(&counters->received), read_counter(&counters->sent),
                 read_counter(&counters->filtered), read_counter(&counters->deaf),
                 read_counter(&counters->overrun), read_counter(&counters->bad));
    if (echoed)
        (void)printf("echo: %llu came, %llu could not go back\n", read_counter(&echoed->received),
                     read_counter(&echoed->failed));
    if (complaint)
        (void)printf("model: deaf: %s\n", complaint);
    (void)fflush(stdout);
    status = complaint || read_counter(&counters->bad) != 0;
    model_ops->destroy(model);
}

/* ---- the wire ---- */

/* Before anybody can ask. */
static int
open_echo(const struct program *program)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 1024 * 1024;
    const struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)program->echo_port)};
    struct in_addr own = {0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    if (program->address)
        (void)inet_pton(AF_INET, program->address, &own);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&place, sizeof place) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own) < 0)
        die("echo", strerror(errno));
    return fd;
}

/* Until it is killed with its parent. */
__attribute__((noreturn)) static void
echo(int fd)
{
    static uint8_t bytes[65536];
    struct sockaddr_in from;
    for (;;) {
        socklen_t length = sizeof from;
        const ssize_t n = recvfrom(fd, bytes, sizeof bytes - 1, 0, (struct sockaddr *)&from, &length);
        if (n < 0)
            continue;
        (void)atomic_fetch_add_explicit(&echoed->received, 1, memory_order_relaxed);
        bytes[n] = '\0';
        if (strncmp((const char *)bytes, "group ", 6) == 0)
            (void)inet_pton(AF_INET, (const char *)bytes + 6, &from.sin_addr);
        if (sendto(fd, bytes, (size_t)n, 0, (const struct sockaddr *)&from, sizeof from) != n)
            (void)atomic_fetch_add_explicit(&echoed->failed, 1, memory_order_relaxed);
    }
}

static void
start_echo(const struct program *program)
{
    const int fd = open_echo(program);
    echoed = mmap(NULL, sizeof *echoed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (echoed == MAP_FAILED)
        die("echo", strerror(errno));
    const pid_t child = fork();
    if (child < 0)
        die("echo", strerror(errno));
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(fd);
    }
    (void)close(fd);
}

static int
open_wire(const struct program *program)
{
    char why[256], end[32];
    const char *const name = program->tap ? program->tap : program->veth;
    int fd = -1;
    if (!name)
        return -1;
    (void)snprintf(end, sizeof end, "%sx", name);
    if (dx_model_wire_own_network(why) < 0 ||
        (program->tap ? dx_model_wire_tap(name, &fd, why) : dx_model_wire_veth(name, end, &fd, why)) < 0)
        die("the wire", why);
    struct in_addr address;
    if (program->address && (inet_pton(AF_INET, program->address, &address) != 1 ||
                             dx_model_wire_set_address(name, ntohl(address.s_addr), 24, why) < 0))
        die(program->address, "cannot be set");
    if (program->echo_port)
        start_echo(program);
    return fd;
}

/* ---- the other side ---- */

static int
attach_to_vhci(const struct program *program)
{
    int pair[2];
    char line[64];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        die("socketpair", strerror(errno));
    const int fd = open("/sys/devices/platform/vhci_hcd.0/attach", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        die("vhci_hcd", strerror(errno));
    const int speed = program->options.speed == DX_USB_FULL ? 2 : 3; // enum usb_device_speed of the kernel
    const int length = snprintf(line, sizeof line, "%d %d %d %d", program->vhci_port, pair[0],
                                1 << 16 | (program->vhci_port + 1), speed);
    if (write(fd, line, (size_t)length) != length)
        die("attaching to vhci_hcd", strerror(errno));
    (void)close(fd);
    (void)close(pair[0]);
    return pair[1];
}

/* The hook of a model: a fault. */
static int
stall_at_times(void *context, const struct dx_usb_transfer *transfer)
{
    struct program *const program = context;
    if (transfer->kind == DX_USB_CONTROL || !(transfer->endpoint & DX_USB_IN))
        return 0;
    return ++program->transfers % program->stall_each ? 0 : -EPIPE;
}

/* ---- arguments ---- */

static bool
parse_mac(const char *text, uint8_t mac[6])
{
    int end = 0;
    const int count = sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
                             &mac[5], &end);
    return count == 6 && text[end] == '\0';
}

static bool
take_option(struct program *program, int letter)
{
    struct dx_model_options *const options = &program->options;
    switch (letter) {
    case 'v': program->vhci_port = atoi(optarg); return true;
    case 'f': program->fd = atoi(optarg); return true;
    case 't': program->tap = optarg; return true;
    case 'V': program->veth = optarg; return true;
    case 'a': program->address = optarg; return true;
    case 'e': program->echo_port = atoi(optarg); return true;
    case 'T': program->trace_path = optarg; return true;
    case 'm': return parse_mac(optarg, options->mac);
    case 's': options->is_strict = true; return true;
    case 'F': options->speed = DX_USB_FULL; return true;
    case 'S': program->stall_each = (uint32_t)strtoul(optarg, NULL, 10); return true;
    case 'p': options->product = (uint16_t)strtoul(optarg, NULL, 16); return true;
    case 'b': options->burst = (uint32_t)strtoul(optarg, NULL, 10); return true;
    case 'n': options->ntb_max = (uint32_t)strtoul(optarg, NULL, 10); return true;
    case '3': options->has_ntb32 = true; return true;
    case 'O': options->has_no_ntb16 = true; return true;
    case 'N': options->has_ndp_first = true; return true;
    default: return false;
    }
}

static bool
parse(struct program *program, int argc, char **argv)
{
    static const struct option known[] = {
        {"vhci", required_argument, NULL, 'v'},    {"fd", required_argument, NULL, 'f'},
        {"tap", required_argument, NULL, 't'},     {"veth", required_argument, NULL, 'V'},
        {"address", required_argument, NULL, 'a'}, {"echo", required_argument, NULL, 'e'},
        {"trace", required_argument, NULL, 'T'},   {"mac", required_argument, NULL, 'm'},
        {"strict", no_argument, NULL, 's'},        {"full-speed", no_argument, NULL, 'F'},
        {"product", required_argument, NULL, 'p'}, {"burst", required_argument, NULL, 'b'},
        {"stall", required_argument, NULL, 'S'},
        {"ntb-max", required_argument, NULL, 'n'}, {"ntb32", no_argument, NULL, '3'},
        {"ntb32-only", no_argument, NULL, 'O'},    {"ndp-first", no_argument, NULL, 'N'},
        {0},
    };
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) >= 0;)
        if (!take_option(program, letter))
            return false;
    program->kind = argv[optind];
    return program->kind && optind == argc - 1 && (program->vhci_port >= 0) != (program->fd >= 0);
}

static struct dx_usb_model *
make_model(const struct program *program)
{
    if (strcmp(program->kind, "ax88772") == 0)
        return dx_model_ax88772(&program->options);
    if (strcmp(program->kind, "ncm") == 0)
        return dx_model_ncm(&program->options);
    if (strcmp(program->kind, "ecm") == 0)
        return dx_model_ecm(&program->options);
    return NULL;
}

int
main(int argc, char **argv)
{
    struct program program = {
        .options = {.mac = {0x02, 0x00, 0x00, 0x12, 0x34, 0x56}, .speed = DX_USB_HIGH}, .vhci_port = -1, .fd = -1};
    struct dx_usb_model *const model = parse(&program, argc, argv) ? make_model(&program) : NULL;
    if (!model) {
        (void)fputs(usage, stderr);
        return 2;
    }
    struct dx_usb_model_ops ops = *model->ops;
    model_ops = model->ops;
    ops.destroy = print_and_destroy;
    model->ops = &ops;
    if (program.trace_path) {
        if (!(program.trace = fopen(program.trace_path, "we")))
            die(program.trace_path, strerror(errno));
        model->told = write_request;
        model->told_context = program.trace;
    }
    if (program.stall_each) {
        model->fault = stall_at_times;
        model->fault_context = &program;
    }
    const int wire_fd = open_wire(&program);
    const int socket = program.fd >= 0 ? program.fd : attach_to_vhci(&program);
    char why[256];
    const int result = dx_usbip_serve(model, socket, wire_fd, why);
    if (program.trace)
        (void)fclose(program.trace);
    if (result < 0)
        die("serving", why);
    return status;
}
