// SPDX-License-Identifier: MIT
// The control plug-in: a device's controls for every mixer that speaks to alsa-lib.

#include "audio/handle.h"
#include "backends/alsa/device.h"
#include "backends/alsa/elements.h"
#include "backends/alsa/errors.h"

#include <alsa/control_external.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Something that a program is to be told of. */
struct event {
    char name[DX_ALSA_ELEMENT_NAME_BYTES];
    uint32_t index;
    uint32_t number; // numid, from 1; 0: it is gone
    unsigned mask;
};

struct ctl {
    snd_ctl_ext_t ext;
    struct dx_alsa_device device;
    _Atomic(dx_device *) watched; // the device, once it is known
    struct dx_alsa_elements elements;
    struct event *events; // what changed when the elements were looked at last
    size_t event_count;
    size_t events_read;
};

/* After fork() the child may only close. */
static bool
is_ours(const struct ctl *ctl)
{
    return !dx_device_is_forked(ctl->device.device);
}

/* ---- elements ---- */

static struct dx_alsa_element *
get_element(const snd_ctl_ext_t *ext, snd_ctl_ext_key_t key)
{
    const struct ctl *const ctl = ext->private_data;
    return is_ours(ctl) && key < ctl->elements.count ? &ctl->elements.list[key] : NULL;
}

static int
get_count(snd_ctl_ext_t *ext)
{
    const struct ctl *const ctl = ext->private_data;
    return (int)ctl->elements.count;
}

static int
get_id(snd_ctl_ext_t *ext, unsigned int offset, snd_ctl_elem_id_t *id)
{
    const struct dx_alsa_element *const element = get_element(ext, offset);
    if (!element)
        return -ENOENT;
    snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
    snd_ctl_elem_id_set_name(id, element->name);
    snd_ctl_elem_id_set_index(id, element->index);
    return 0;
}

static snd_ctl_ext_key_t
find_key(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id)
{
    const struct ctl *const ctl = ext->private_data;
    const struct dx_alsa_element *const element =
        dx_alsa_elements_find(&ctl->elements, snd_ctl_elem_id_get_name(id), snd_ctl_elem_id_get_index(id));
    return element ? (snd_ctl_ext_key_t)(element - ctl->elements.list) : SND_CTL_EXT_KEY_NOT_FOUND;
}

static int
get_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned int *access, unsigned int *count)
{
    const struct dx_alsa_element *const element = get_element(ext, key);
    if (!element)
        return -ENOENT;
    *type = dx_alsa_element_is_switch(element)   ? SND_CTL_ELEM_TYPE_BOOLEAN
            : dx_alsa_element_is_choice(element) ? SND_CTL_ELEM_TYPE_ENUMERATED
                                                 : SND_CTL_ELEM_TYPE_INTEGER;
    *access = element->info.is_settable ? SND_CTL_EXT_ACCESS_READWRITE : SND_CTL_EXT_ACCESS_READ;
    if (dx_alsa_element_is_level(element))
        *access |= (unsigned)SND_CTL_EXT_ACCESS_TLV_READ | (unsigned)SND_CTL_EXT_ACCESS_TLV_CALLBACK;
    *count = 1;
    return 0;
}

static int
get_integer_info(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *min, long *max, long *step)
{
    const struct dx_alsa_element *const element = get_element(ext, key);
    if (!element)
        return -ENOENT;
    dx_alsa_element_get_range(element, min, max);
    *step = 0; // any number between
    return 0;
}

static int
get_item_count(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, unsigned int *items)
{
    const struct dx_alsa_element *const element = get_element(ext, key);
    if (!element)
        return -ENOENT;
    *items = element->info.item_count;
    return 0;
}

static int
get_item_name(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, unsigned int item, char *name, size_t bytes)
{
    const struct dx_alsa_element *const element = get_element(ext, key);
    if (!element)
        return -ENOENT;
    if (item >= element->info.item_count)
        return -EINVAL;
    (void)snprintf(name, bytes, "%s", element->items[item].name); // a longer one is cut
    return 0;
}

/* Hundredths of a decibel, one for each step. */
static int
give_decibels(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int op_flag, unsigned int numid, unsigned int *tlv,
              unsigned int tlv_size)
{
    (void)numid;
    const struct dx_alsa_element *const element = get_element(ext, key);
    if (!element || op_flag)
        return -ENXIO;
    const int least = (int)lround((double)element->info.decibels_min * 100.0);
    const unsigned int scale[] = {SND_CTL_TLVT_DB_SCALE, 2u * sizeof(unsigned int), (unsigned int)least, 1u};
    if (tlv_size < sizeof scale)
        return -ENOMEM;
    memcpy(tlv, scale, sizeof scale);
    return 0;
}

/* ---- values ---- */

static int
read_value(const snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *ret_value)
{
    const struct ctl *const ctl = ext->private_data;
    const struct dx_alsa_element *const element = get_element(ext, key);
    if (!element)
        return -ENOENT;
    dx_control_info info = {.size = sizeof info};
    const kern_return_t status = dx_device_get_control(ctl->device.device, element->info.key, &info);
    if (status != kIOReturnSuccess)
        return dx_alsa_errno(status);
    *ret_value = dx_alsa_element_get_value(element, &info);
    return 0;
}

/* 1: it was another value before. */
static int
write_value(const snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long value)
{
    const struct ctl *const ctl = ext->private_data;
    long before;
    const int r = read_value(ext, key, &before);
    if (r < 0 || before == value)
        return r;
    const kern_return_t status = dx_alsa_element_set_value(get_element(ext, key), ctl->device.device, value);
    return status == kIOReturnSuccess ? 1 : dx_alsa_errno(status);
}

static int
read_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
    return read_value(ext, key, value);
}

static int
write_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
    return write_value(ext, key, *value);
}

static int
read_enumerated(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, unsigned int *item)
{
    long value;
    const int r = read_value(ext, key, &value);
    if (r == 0)
        *item = (unsigned)value;
    return r;
}

static int
write_enumerated(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, unsigned int *item)
{
    return write_value(ext, key, (long)*item);
}

/* ---- events ---- */

static void
signal_program(const struct ctl *ctl)
{
    const uint64_t one = 1;
    (void)!write(ctl->ext.poll_fd, &one, sizeof one); // fails when it is full, and that wakes as well
}

/* On the directory's thread. */
static void
hear(void *context, const dx_host_event *event)
{
    const struct ctl *const ctl = context;
    /* acquire: pairs with the release where it is opened. */
    dx_device *const watched = atomic_load_explicit(&ctl->watched, memory_order_acquire);
    if (watched && (!event->device || event->device == watched))
        signal_program(ctl);
}

static void
add_event(struct ctl *ctl, const struct dx_alsa_element *element, uint32_t number, unsigned mask)
{
    struct event *const event = &ctl->events[ctl->event_count++];
    memcpy(event->name, element->name, sizeof event->name);
    event->index = element->index;
    event->number = number;
    event->mask = mask;
}

static bool
has_same_shape(const struct dx_alsa_element *a, const struct dx_alsa_element *b)
{
    long a_min, a_max, b_min, b_max;
    dx_alsa_element_get_range(a, &a_min, &a_max);
    dx_alsa_element_get_range(b, &b_min, &b_max);
    return a->info.kind == b->info.kind && a_min == b_min && a_max == b_max &&
           a->info.is_settable == b->info.is_settable && a->info.item_count == b->info.item_count &&
           a->info.decibels_min == b->info.decibels_min &&
           (!a->info.item_count || memcmp(a->items, b->items, a->info.item_count * sizeof *a->items) == 0);
}

/* What is to be told, given the elements of now; there is room. */
static void
compare(struct ctl *ctl, const struct dx_alsa_elements *now)
{
    const struct dx_alsa_elements *const before = &ctl->elements;
    for (uint32_t i = 0; i < before->count; i++)
        if (!dx_alsa_elements_find(now, before->list[i].name, before->list[i].index))
            add_event(ctl, &before->list[i], i + 1u, SND_CTL_EVENT_MASK_REMOVE);
    for (uint32_t i = 0; i < now->count; i++) {
        const struct dx_alsa_element *const element = &now->list[i];
        const struct dx_alsa_element *const old = dx_alsa_elements_find(before, element->name, element->index);
        unsigned mask = 0;
        if (!old)
            mask = SND_CTL_EVENT_MASK_ADD;
        else if (!has_same_shape(old, element))
            mask = SND_CTL_EVENT_MASK_INFO | SND_CTL_EVENT_MASK_TLV | SND_CTL_EVENT_MASK_VALUE;
        else if (dx_alsa_element_get_value(old, &old->info) != dx_alsa_element_get_value(element, &element->info))
            mask = SND_CTL_EVENT_MASK_VALUE;
        if (mask)
            add_event(ctl, element, i + 1u, mask);
    }
}

/* Looks at the device again. */
static int
refresh(struct ctl *ctl)
{
    struct dx_alsa_elements now;
    const kern_return_t status = dx_alsa_elements_load(ctl->device.device, &now);
    if (status != kIOReturnSuccess)
        return dx_alsa_errno(status);
    struct event *const events = calloc((size_t)ctl->elements.count + now.count + 1u, sizeof *events);
    if (!events) {
        dx_alsa_elements_finish(&now);
        return -ENOMEM;
    }
    free(ctl->events);
    ctl->events = events;
    ctl->event_count = 0;
    ctl->events_read = 0;
    compare(ctl, &now);
    dx_alsa_elements_finish(&ctl->elements);
    ctl->elements = now;
    return 0;
}

/* The descriptor stays readable until this has said that there is nothing more. */
static int
read_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned int *event_mask)
{
    struct ctl *const ctl = ext->private_data;
    if (!is_ours(ctl))
        return -EBADFD;
    if (ctl->events_read == ctl->event_count) {
        uint64_t count;
        if (read(ext->poll_fd, &count, sizeof count) < 0)
            return -EAGAIN;
        const int r = refresh(ctl);
        if (r < 0)
            return r;
        if (!ctl->event_count)
            return -EAGAIN;
        signal_program(ctl);
    }
    const struct event *const event = &ctl->events[ctl->events_read++];
    snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
    snd_ctl_elem_id_set_name(id, event->name);
    snd_ctl_elem_id_set_index(id, event->index);
    snd_ctl_elem_id_set_numid(id, event->number);
    *event_mask = event->mask;
    return 1;
}

/* ---- opening and closing ---- */

static void
free_ctl(struct ctl *ctl)
{
    dx_alsa_elements_finish(&ctl->elements);
    dx_alsa_device_close(&ctl->device);
    if (ctl->ext.poll_fd >= 0)
        (void)close(ctl->ext.poll_fd); // nothing was written
    free(ctl->events);
    free(ctl);
}

static void
close_ctl(snd_ctl_ext_t *ext)
{
    free_ctl(ext->private_data);
}

static const snd_ctl_ext_callback_t callbacks = {
    .close = close_ctl,
    .elem_count = get_count,
    .elem_list = get_id,
    .find_elem = find_key,
    .get_attribute = get_attribute,
    .get_integer_info = get_integer_info,
    .get_enumerated_info = get_item_count,
    .get_enumerated_name = get_item_name,
    .read_integer = read_integer,
    .read_enumerated = read_enumerated,
    .write_integer = write_integer,
    .write_enumerated = write_enumerated,
    .read_event = read_event,
};

/* Copies a text, or as much of it as fits, without cutting a character in two. */
static void
copy_text(char *to, size_t bytes, const char *from)
{
    size_t length = strlen(from);
    if (length >= bytes)
        for (length = bytes - 1u; length && ((unsigned char)from[length] & 0xC0u) == 0x80u;)
            length--;
    memcpy(to, from, length);
    to[length] = '\0';
}

static void
describe_card(struct ctl *ctl)
{
    snd_ctl_ext_t *const ext = &ctl->ext;
    dx_device_info info = {.size = sizeof info};
    const char *const uid = dx_device_uid(ctl->device.device);
    const bool has_name = dx_device_get_info(ctl->device.device, &info) == kIOReturnSuccess && *info.name;
    const char *const name = has_name ? info.name : uid;
    copy_text(ext->id, sizeof ext->id, "dextral");
    copy_text(ext->driver, sizeof ext->driver, "dextral");
    copy_text(ext->name, sizeof ext->name, name);
    copy_text(ext->longname, sizeof ext->longname, uid);
    copy_text(ext->mixername, sizeof ext->mixername, name);
}

static int
connect_ctl(struct ctl *ctl, const struct dx_alsa_name *name)
{
    ctl->ext.poll_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (ctl->ext.poll_fd < 0)
        return -errno;
    const dx_directory_config config = {.size = sizeof config, .listener = hear, .listener_context = ctl};
    int r = dx_alsa_device_open(name, &config, IOUserAudioStreamDirectionOutput, &ctl->device);
    if (r < 0)
        return r;
    /* release: pairs with the acquire in hear(). */
    atomic_store_explicit(&ctl->watched, ctl->device.device, memory_order_release);
    r = refresh(ctl);
    ctl->event_count = 0; // what was there at first is no news
    describe_card(ctl);
    return r;
}

SND_CTL_PLUGIN_DEFINE_FUNC(dextral);

SND_CTL_PLUGIN_DEFINE_FUNC(dextral)
{
    (void)root;
    struct dx_alsa_name device;
    int r = dx_alsa_read_name(conf, &device);
    if (r < 0)
        return r;
    struct ctl *const ctl = calloc(1, sizeof *ctl);
    if (!ctl)
        return -ENOMEM;
    ctl->ext = (snd_ctl_ext_t){
        .version = SND_CTL_EXT_VERSION,
        .card_idx = -1, // none of the kernel's
        .poll_fd = -1,
        .callback = &callbacks,
        .private_data = ctl,
        .tlv.c = give_decibels,
    };
    r = connect_ctl(ctl, &device);
    if (r == 0)
        r = snd_ctl_ext_create(&ctl->ext, name, mode);
    if (r < 0) {
        free_ctl(ctl);
        return r;
    }
    *handlep = ctl->ext.handle;
    return 0;
}
SND_CTL_PLUGIN_SYMBOL(dextral)
