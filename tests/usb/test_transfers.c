// SPDX-License-Identifier: MIT
// What every backend promises of transfers, tried on the model of an ECM adapter: each submit completes exactly once.

#include "backends/usb/model.h"
#include "backends/usb/nic.h"
#include "tests/core/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MANY 16u
#define NOBODY UINT32_MAX

/* A device, and a thread that pumps it until it is told to end or the device is gone. */
struct bench {
    struct dx_usb_device *device;
    struct dx_nic_info info;
    pthread_t pumper;
    _Atomic bool is_ending;
    _Atomic bool is_gone;
    /* What the model does wrong: the transfers of an endpoint. */
    _Atomic uint32_t endpoint;
    _Atomic int fault;
};

struct watched {
    struct dx_usb_transfer usb;
    _Atomic uint32_t completions;
    uint8_t data[2048];
};

static uint64_t
now_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
note(struct dx_usb_transfer *transfer)
{
    struct watched *const watched = transfer->context;
    (void)atomic_fetch_add_explicit(&watched->completions, 1, memory_order_release);
}

static int
make_fault(void *context, const struct dx_usb_transfer *transfer)
{
    struct bench *const bench = context;
    const uint32_t endpoint = transfer->kind == DX_USB_CONTROL ? 0 : transfer->endpoint;
    return atomic_load_explicit(&bench->endpoint, memory_order_acquire) == endpoint
               ? atomic_load_explicit(&bench->fault, memory_order_relaxed)
               : 0;
}

static void
set_fault(struct bench *bench, uint32_t endpoint, int fault)
{
    atomic_store_explicit(&bench->fault, fault, memory_order_relaxed);
    atomic_store_explicit(&bench->endpoint, endpoint, memory_order_release);
}

static void *
pump(void *context)
{
    struct bench *const bench = context;
    while (!atomic_load_explicit(&bench->is_ending, memory_order_acquire)) {
        const int status = dx_usb_pump(bench->device, UINT64_MAX);
        if (status == -ENODEV) {
            atomic_store_explicit(&bench->is_gone, true, memory_order_release);
            break;
        }
        CHECK_EQ(status, 0);
    }
    return NULL;
}

static void
begin(struct bench *bench)
{
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    uint8_t nic[1024] = {0};
    char why[256];
    *bench = (struct bench){.endpoint = NOBODY};
    struct dx_usb_model *const model = dx_model_ecm(&options);
    CHECK(model && dx_nic_ecm.bytes <= sizeof nic);
    model->fault = make_fault;
    model->fault_context = bench;
    CHECK_EQ(dx_usb_open_model(model, &bench->device), 0);
    CHECK_EQ(dx_nic_ecm.probe(nic, bench->device, &bench->info, why), 0);
    CHECK(pthread_create(&bench->pumper, NULL, pump, bench) == 0);
    CHECK_EQ(dx_usb_set_interface(bench->device, bench->info.interfaces[1], 1), 0);
    // broadcast and all groups
    const struct dx_usb_setup setup = {0x21, 0x43, 0x0e, bench->info.interfaces[0], 0};
    CHECK_EQ(dx_usb_control(bench->device, &setup, NULL, 1000), 0);
}

static void
end(struct bench *bench)
{
    atomic_store_explicit(&bench->is_ending, true, memory_order_release);
    dx_usb_wake(bench->device);
    CHECK(pthread_join(bench->pumper, NULL) == 0);
    dx_usb_close(bench->device);
}

static void
prepare(struct bench *bench, struct watched *watched, enum dx_usb_kind kind, uint8_t endpoint, uint32_t size)
{
    memset((void *)watched, 0, sizeof *watched);
    watched->usb = (struct dx_usb_transfer){
        .kind = kind,
        .endpoint = endpoint,
        .data = watched->data,
        .capacity = sizeof watched->data,
        .size = size,
        .completed = note,
        .context = watched,
    };
    CHECK_EQ(dx_usb_prepare(bench->device, &watched->usb), 0);
}

static void
prepare_in(struct bench *bench, struct watched *watched, uint32_t size)
{
    prepare(bench, watched, DX_USB_BULK, bench->info.in_endpoint, size);
}

static uint32_t
count_of(const struct watched *watched)
{
    return atomic_load_explicit(&watched->completions, memory_order_acquire);
}

static void
nap(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Until it has completed so often; then nothing more may come for a while. */
static void
wait_for(const struct watched *watched, uint32_t completions)
{
    const uint64_t end_ns = now_ns() + UINT64_C(20000000000);
    while (count_of(watched) < completions && now_ns() < end_ns)
        nap(1);
    CHECK_EQ(count_of(watched), completions);
}

/* The pumping thread has nothing left to do: a request has gone through it. */
static void
settle(struct bench *bench)
{
    const struct dx_usb_setup setup = {0x80, 0, 0, 0, 2};
    uint8_t status[2];
    for (int i = 0; i < 3; i++)
        (void)dx_usb_control(bench->device, &setup, status, 1000);
}

static void
send_broadcast(struct bench *bench, uint32_t size, uint8_t fill)
{
    uint8_t frame[1514];
    memset(frame, fill, sizeof frame);
    memset(frame, 0xff, 6);
    frame[6] = 2;
    dx_usb_model_receive(bench->device, frame, size);
}

/* ---- tests ---- */

static void
a_transfer_completes_once_with_its_data(void)
{
    struct bench bench;
    struct watched in;
    begin(&bench);
    prepare_in(&bench, &in, 2048);
    for (uint32_t i = 0; i < 100; i++) { // the same one, again and again
        CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
        send_broadcast(&bench, 60 + i, (uint8_t)i);
        wait_for(&in, i + 1);
        CHECK_EQ(in.usb.status, 0);
        CHECK_EQ(in.usb.actual, 60 + i);
        CHECK_EQ(in.data[59 + i], i);
    }
    settle(&bench);
    CHECK_EQ(count_of(&in), 100);
    dx_usb_unprepare(bench.device, &in.usb);
    end(&bench);
}

static void
what_was_not_prepared_or_is_too_large_is_refused(void)
{
    struct bench bench;
    struct watched in;
    begin(&bench);
    prepare_in(&bench, &in, 2049);
    CHECK_EQ(-dx_usb_submit(bench.device, &in.usb), EINVAL);
    dx_usb_unprepare(bench.device, &in.usb);
    CHECK_EQ(-dx_usb_submit(bench.device, &in.usb), EINVAL);
    dx_usb_unprepare(bench.device, &in.usb); // twice is fine
    dx_usb_cancel(bench.device, &in.usb);
    settle(&bench);
    CHECK_EQ(count_of(&in), 0);
    end(&bench);
}

static void
a_time_out_completes_once(void)
{
    struct bench bench;
    struct watched in[MANY];
    begin(&bench);
    for (uint32_t i = 0; i < MANY; i++) {
        prepare_in(&bench, &in[i], 2048);
        in[i].usb.timeout_ms = 20 + i;
        CHECK_EQ(dx_usb_submit(bench.device, &in[i].usb), 0);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        wait_for(&in[i], 1);
        CHECK_EQ(-in[i].usb.status, ETIMEDOUT);
        CHECK_EQ(in[i].usb.actual, 0);
    }
    settle(&bench);
    for (uint32_t i = 0; i < MANY; i++) {
        CHECK_EQ(count_of(&in[i]), 1);
        dx_usb_unprepare(bench.device, &in[i].usb);
    }
    end(&bench);
}

static void
a_cancelled_one_completes_once(void)
{
    struct bench bench;
    struct watched in[MANY];
    begin(&bench);
    for (uint32_t i = 0; i < MANY; i++) {
        prepare_in(&bench, &in[i], 2048);
        dx_usb_cancel(bench.device, &in[i].usb); // not under way: nothing
        CHECK_EQ(dx_usb_submit(bench.device, &in[i].usb), 0);
    }
    for (uint32_t i = MANY; i-- > 0;) {
        dx_usb_cancel(bench.device, &in[i].usb);
        dx_usb_cancel(bench.device, &in[i].usb);
        wait_for(&in[i], 1);
        CHECK_EQ(-in[i].usb.status, ECANCELED);
    }
    settle(&bench);
    for (uint32_t i = 0; i < MANY; i++) {
        CHECK_EQ(count_of(&in[i]), 1);
        dx_usb_unprepare(bench.device, &in[i].usb);
    }
    end(&bench);
}

static void
a_cancel_that_meets_the_data_completes_once(void)
{
    struct bench bench;
    struct watched in;
    uint32_t with_data = 0;
    begin(&bench);
    prepare_in(&bench, &in, 2048);
    for (uint32_t i = 0; i < 2000; i++) {
        CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
        send_broadcast(&bench, 100, 7);
        if (i % 3 > 0) // sooner or later than the data
            dx_usb_cancel(bench.device, &in.usb);
        wait_for(&in, i + 1);
        CHECK(in.usb.status == 0 || in.usb.status == -ECANCELED);
        with_data += in.usb.status == 0;
    }
    settle(&bench);
    CHECK_EQ(count_of(&in), 2000);
    CHECK(with_data >= 666);
    dx_usb_unprepare(bench.device, &in.usb);
    end(&bench);
}

static void
a_stall_stays_until_it_is_cleared(void)
{
    struct bench bench;
    struct watched in;
    begin(&bench);
    prepare_in(&bench, &in, 2048);
    set_fault(&bench, bench.info.in_endpoint, -EPIPE);
    CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
    wait_for(&in, 1);
    CHECK_EQ(-in.usb.status, EPIPE);
    set_fault(&bench, NOBODY, 0);
    CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
    wait_for(&in, 2);
    CHECK_EQ(-in.usb.status, EPIPE);
    CHECK_EQ(dx_usb_clear_halt(bench.device, bench.info.in_endpoint), 0);
    CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
    send_broadcast(&bench, 100, 9);
    wait_for(&in, 3);
    CHECK_EQ(in.usb.status, 0);
    CHECK_EQ(in.usb.actual, 100);
    dx_usb_unprepare(bench.device, &in.usb);
    end(&bench);
}

static void
errors_of_the_bus_are_told_as_they_are(void)
{
    static const int errors[] = {EPROTO, EOVERFLOW};
    struct bench bench;
    struct watched in;
    begin(&bench);
    prepare_in(&bench, &in, 2048);
    for (uint32_t i = 0; i < 2; i++) {
        set_fault(&bench, bench.info.in_endpoint, -errors[i]);
        CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
        wait_for(&in, i + 1);
        CHECK_EQ(-in.usb.status, errors[i]);
    }
    dx_usb_unprepare(bench.device, &in.usb);
    end(&bench);
}

static void
more_than_fits_is_babble(void)
{
    struct bench bench;
    struct watched in;
    begin(&bench);
    prepare_in(&bench, &in, 512);
    CHECK_EQ(dx_usb_submit(bench.device, &in.usb), 0);
    send_broadcast(&bench, 1000, 3);
    wait_for(&in, 1);
    // the first packet, or the error: never more than there is room for
    CHECK(in.usb.status == -EOVERFLOW || (in.usb.status == 0 && in.usb.actual <= 512));
    for (size_t i = 512; i < sizeof in.data; i++)
        CHECK_EQ(in.data[i], 0);
    dx_usb_unprepare(bench.device, &in.usb);
    end(&bench);
}

static void
unplugging_completes_all_of_them_once_and_ends_the_pump(void)
{
    struct bench bench;
    struct watched in[MANY];
    struct watched notify;
    begin(&bench);
    prepare(&bench, &notify, DX_USB_INTERRUPT, bench.info.notify_endpoint, bench.info.notify_packet);
    set_fault(&bench, bench.info.notify_endpoint, -EINPROGRESS);
    CHECK_EQ(dx_usb_submit(bench.device, &notify.usb), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        prepare_in(&bench, &in[i], 2048);
        CHECK_EQ(dx_usb_submit(bench.device, &in[i].usb), 0);
    }
    dx_usb_cancel(bench.device, &in[3].usb); // at the same time
    dx_usb_model_unplug(bench.device);
    for (uint32_t i = 0; i < MANY; i++) {
        wait_for(&in[i], 1);
        CHECK(in[i].usb.status == -ENODEV || (i == 3 && in[i].usb.status == -ECANCELED));
    }
    wait_for(&notify, 1);
    const uint64_t end_ns = now_ns() + UINT64_C(20000000000);
    while (!atomic_load_explicit(&bench.is_gone, memory_order_acquire) && now_ns() < end_ns)
        nap(1);
    CHECK(atomic_load_explicit(&bench.is_gone, memory_order_acquire));
    CHECK_EQ(-dx_usb_submit(bench.device, &in[0].usb), ENODEV);
    const struct dx_usb_setup setup = {0x80, 0, 0, 0, 2};
    uint8_t status[2];
    CHECK_EQ(-dx_usb_control(bench.device, &setup, status, 1000), ENODEV);
    for (uint32_t i = 0; i < MANY; i++) {
        CHECK_EQ(count_of(&in[i]), 1);
        dx_usb_unprepare(bench.device, &in[i].usb);
    }
    dx_usb_unprepare(bench.device, &notify.usb);
    end(&bench);
}

static void *
unplug_soon(void *context)
{
    struct bench *const bench = context;
    nap(1);
    dx_usb_model_unplug(bench->device);
    return NULL;
}

static void
unplugging_in_the_midst_of_submits_loses_none(void)
{
    for (uint32_t round = 0; round < 50; round++) {
        struct bench bench;
        struct watched in;
        pthread_t thread;
        begin(&bench);
        prepare_in(&bench, &in, 2048);
        CHECK(pthread_create(&thread, NULL, unplug_soon, &bench) == 0);
        uint32_t submits = 0;
        int error;
        while ((error = dx_usb_submit(bench.device, &in.usb)) == 0) {
            submits++;
            send_broadcast(&bench, 100, 1);
            wait_for(&in, submits);
        }
        CHECK_EQ(-error, ENODEV);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_EQ(count_of(&in), submits);
        dx_usb_unprepare(bench.device, &in.usb);
        end(&bench);
    }
}

static void
a_request_ends_however_it_goes(void)
{
    static const struct dx_usb_setup setup = {0x80, 6, 0x0100, 0, 18};
    struct bench bench;
    uint8_t bytes[18];
    begin(&bench);
    CHECK_EQ(dx_usb_control(bench.device, &setup, bytes, 1000), 18);
    CHECK_EQ(memcmp(bytes, bench.device->device_descriptor, 18), 0);
    set_fault(&bench, 0, 5); // bytes
    CHECK_EQ(dx_usb_control(bench.device, &setup, bytes, 1000), 5);
    set_fault(&bench, 0, -EPIPE);
    CHECK_EQ(-dx_usb_control(bench.device, &setup, bytes, 1000), EPIPE);
    set_fault(&bench, 0, -EINPROGRESS);
    CHECK_EQ(-dx_usb_control(bench.device, &setup, bytes, 30), ETIMEDOUT);
    set_fault(&bench, NOBODY, 0);
    CHECK_EQ(-dx_usb_control(bench.device, &setup, NULL, 30), EINVAL);
    CHECK_EQ(dx_usb_control(bench.device, &setup, bytes, 1000), 18);
    set_fault(&bench, 0, -ENODEV);
    CHECK_EQ(-dx_usb_control(bench.device, &setup, bytes, 1000), ENODEV);
    end(&bench);
}

/* The model has UTF-8, the bus UTF-16. */
static void
a_string_comes_as_it_was(void)
{
    static const char *const strings[] = {"", "020000000001", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xb5!"};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
        struct bench bench = {.endpoint = NOBODY};
        char text[64];
        char little[7];
        struct dx_usb_model *const model = dx_model_ecm(&options);
        CHECK(model);
        model->strings[1] = strings[i];
        CHECK_EQ(dx_usb_open_model(model, &bench.device), 0);
        CHECK(pthread_create(&bench.pumper, NULL, pump, &bench) == 0);
        CHECK_EQ(dx_usb_read_string(bench.device, 1, text, sizeof text), strlen(strings[i]));
        CHECK_EQ(strcmp(text, strings[i]), 0);
        CHECK(dx_usb_read_string(bench.device, 1, little, sizeof little) <= 6); // cut between characters
        CHECK_EQ(strncmp(little, strings[i], strlen(little)), 0);
        CHECK((strings[i][strlen(little)] & 0xc0) != 0x80);
        CHECK_EQ(-dx_usb_read_string(bench.device, 15, text, sizeof text), EPIPE);
        CHECK_EQ(-dx_usb_read_string(bench.device, 0, text, sizeof text), EINVAL);
        end(&bench);
    }
}

static void
a_wake_ends_the_pump_now_or_the_next(void)
{
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    struct dx_usb_device *device = NULL;
    CHECK_EQ(dx_usb_open_model(dx_model_ecm(&options), &device), 0);
    dx_usb_wake(device);
    CHECK_EQ(dx_usb_pump(device, UINT64_MAX), 0); // or it would never end
    const uint64_t deadline_ns = now_ns() + 20000000u;
    while (now_ns() < deadline_ns)
        CHECK_EQ(dx_usb_pump(device, deadline_ns), 0);
    dx_usb_close(device);
}

int
main(void)
{
    RUN(a_transfer_completes_once_with_its_data);
    RUN(what_was_not_prepared_or_is_too_large_is_refused);
    RUN(a_time_out_completes_once);
    RUN(a_cancelled_one_completes_once);
    RUN(a_cancel_that_meets_the_data_completes_once);
    RUN(a_stall_stays_until_it_is_cleared);
    RUN(errors_of_the_bus_are_told_as_they_are);
    RUN(more_than_fits_is_babble);
    RUN(unplugging_completes_all_of_them_once_and_ends_the_pump);
    RUN(unplugging_in_the_midst_of_submits_loses_none);
    RUN(a_request_ends_however_it_goes);
    RUN(a_string_comes_as_it_was);
    RUN(a_wake_ends_the_pump_now_or_the_next);
    return 0;
}
