// SPDX-License-Identifier: MIT
// Memory descriptors and maps.

#include "core/memory.h"

#include "core/pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT_MAX ((uint64_t)1 << 30)
#define DIRECTION_MASK ((uint64_t)kIOMemoryDirectionInOut)
#define PARTS_MAX 32u
#define MAP_OPTIONS                                                                                               \
    ((uint64_t)(kIOMemoryMapFixedAddress | kIOMemoryMapReadOnly | kIOMemoryMapCacheModeInhibit |                  \
                kIOMemoryMapCacheModeCopyback | kIOMemoryMapCacheModeWriteThrough |                               \
                kIOMemoryMapCacheModeRealTime))

/* A memfd that descriptors share; closed with the last of them. */
struct memory_file {
    struct OSObject object;
    int fd;
};

struct range {
    struct memory_file *file; // retained
    uint64_t offset;          // in the file
    uint64_t length;          // bytes, at least 1
};

/* Fixed once made but for the length of a buffer. */
struct IOMemoryDescriptor {
    struct OSObject object;
    uint64_t direction;
    _Atomic uint64_t length; // bytes; the ranges' sum, less where a buffer's was set
    struct range *ranges;
    uint32_t range_count;
};

struct IOMemoryMap {
    struct OSObject object;
    uint8_t *pages;     // what is mapped
    size_t pages_bytes; // whole pages
    uint64_t offset;    // of the range in its first page
    uint64_t length;    // of the range
};

struct IOBufferMemoryDescriptor {
    struct IOMemoryDescriptor descriptor;
    IOMemoryMap *map; // of the whole capacity
};

static void
free_file(OSObjectPtr object)
{
    struct memory_file *const file = object;
    if (file->fd >= 0)
        close(file->fd);
    dx_object_free_super(file);
}

static const OSMetaClass memory_file_class = {
    .name = "dx_memory_file",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct memory_file),
    .free = free_file,
};

static void
free_descriptor(OSObjectPtr object)
{
    IOMemoryDescriptor *const d = object;
    for (uint32_t i = 0; i < d->range_count; i++)
        OSObjectRelease(d->ranges[i].file);
    free(d->ranges);
    dx_object_free_super(d);
}

const OSMetaClass dx_memory_descriptor_class = {
    .name = "IOMemoryDescriptor",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct IOMemoryDescriptor),
    .free = free_descriptor,
};
const OSMetaClass *const gIOMemoryDescriptorMetaClass = &dx_memory_descriptor_class;

static void
free_buffer(OSObjectPtr object)
{
    IOBufferMemoryDescriptor *const buffer = object;
    OSObjectRelease(buffer->map);
    free_descriptor(buffer);
}

const OSMetaClass dx_buffer_memory_descriptor_class = {
    .name = "IOBufferMemoryDescriptor",
    .super = &dx_memory_descriptor_class,
    .instance_bytes = sizeof(struct IOBufferMemoryDescriptor),
    .free = free_buffer,
};
const OSMetaClass *const gIOBufferMemoryDescriptorMetaClass = &dx_buffer_memory_descriptor_class;

static void
free_map(OSObjectPtr object)
{
    IOMemoryMap *const map = object;
    if (map->pages)
        munmap(map->pages, map->pages_bytes);
    dx_object_free_super(map);
}

const OSMetaClass dx_memory_map_class = {
    .name = "IOMemoryMap",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct IOMemoryMap),
    .free = free_map,
};
const OSMetaClass *const gIOMemoryMapMetaClass = &dx_memory_map_class;

/* What -errno of a system call on memory is to the caller. */
static kern_return_t
return_from_errno(int error)
{
    switch (-error) {
    case ENOMEM:
    case ENOSPC:
    case EAGAIN: // the limit of locked memory, under mlockall()
        return kIOReturnNoMemory;
    case EMFILE:
    case ENFILE:
        return kIOReturnNoResources;
    case EACCES:
        return kIOReturnNotWritable;
    case EPERM:
        return kIOReturnNotPermitted;
    case EINVAL:
    case EBADF:
        return kIOReturnBadArgument;
    default:
        return kIOReturnVMError;
    }
}

static bool
is_alignment(uint64_t alignment)
{
    return alignment <= ALIGNMENT_MAX && (alignment & (alignment - 1)) == 0;
}

/* A descriptor with room for ranges, none filled in yet. */
static IOMemoryDescriptor *
new_descriptor(const OSMetaClass *meta, uint64_t direction, uint32_t ranges)
{
    IOMemoryDescriptor *const d = dx_object_alloc(meta);
    if (!d)
        return NULL;
    d->direction = direction;
    d->ranges = calloc(ranges, sizeof *d->ranges);
    if (!d->ranges) {
        OSObjectRelease(d);
        return NULL;
    }
    return d;
}

static void
add_range(IOMemoryDescriptor *d, struct memory_file *file, uint64_t offset, uint64_t length)
{
    d->ranges[d->range_count++] = (struct range){
        .file = OSObjectRetain(file),
        .offset = offset,
        .length = length,
    };
    /* relaxed: nobody else has it yet. */
    (void)atomic_fetch_add_explicit(&d->length, length, memory_order_relaxed);
}

static uint64_t
length_of(IOMemoryDescriptor *d)
{
    /* relaxed: a length orders nothing. */
    return atomic_load_explicit(&d->length, memory_order_relaxed);
}

/* The ranges of [offset, offset + length) of a descriptor, cut to it; returns how many. */
static uint32_t
cut_ranges(const IOMemoryDescriptor *d, uint64_t offset, uint64_t length, struct range *cut)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->range_count && length; i++) {
        const struct range *const r = &d->ranges[i];
        if (offset >= r->length) {
            offset -= r->length;
            continue;
        }
        const uint64_t here = r->length - offset < length ? r->length - offset : length;
        cut[n++] = (struct range){.file = r->file, .offset = r->offset + offset, .length = here};
        length -= here;
        offset = 0;
    }
    return n;
}

/* Whether ranges, one after the other, are whole pages in their middle. */
static bool
meet_at_pages(const struct range *ranges, uint32_t count)
{
    const uint64_t page = dx_page_bytes();
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && ranges[i].offset % page != 0)
            return false;
        if (i + 1 < count && (ranges[i].offset + ranges[i].length) % page != 0)
            return false;
    }
    return true;
}

/* Whether the files behind ranges may be mapped for writing. */
static bool
are_writable(const struct range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const int flags = fcntl(ranges[i].file->fd, F_GETFL);
        const int seals = fcntl(ranges[i].file->fd, F_GET_SEALS);
        if (flags < 0 || (flags & O_ACCMODE) != O_RDWR || seals < 0 ||
            (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
            return false;
    }
    return true;
}

/* Reserves address space at an alignment; NULL with errno. */
static uint8_t *
reserve(size_t bytes, size_t alignment)
{
    const size_t page = dx_page_bytes();
    const size_t extra = alignment > page ? alignment - page : 0;
    if (bytes > (size_t)PTRDIFF_MAX - extra) {
        errno = ENOMEM;
        return NULL;
    }
    uint8_t *const whole =
        mmap(NULL, bytes + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (whole == MAP_FAILED)
        return NULL;
    const size_t head = extra ? (alignment - (uintptr_t)whole % alignment) % alignment : 0;
    const size_t tail = extra - head;
    /* Cannot fail but for the limit of mappings; then the ends stay reserved until the process ends. */
    if (head)
        (void)munmap(whole, head);
    if (tail)
        (void)munmap(whole + head + bytes, tail);
    return whole + head;
}

/* Maps ranges that meet at pages, one after the other, into a map that has nothing yet. */
static kern_return_t
map_ranges(IOMemoryMap *map, const struct range *ranges, uint32_t count, int protection, size_t alignment)
{
    const size_t page = dx_page_bytes();
    const uint64_t whole = (map->offset + map->length + page - 1) / page * page;
    uint8_t *const pages = reserve((size_t)whole, alignment);
    if (!pages)
        return kIOReturnNoMemory;
    map->pages = pages;
    map->pages_bytes = (size_t)whole;

    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t first = ranges[i].offset / page * page;
        const size_t bytes = (size_t)((ranges[i].offset + ranges[i].length - first + page - 1) / page * page);
        if (mmap(pages + at, bytes, protection, MAP_SHARED | MAP_FIXED, ranges[i].file->fd, (off_t)first) ==
            MAP_FAILED) {
            /* EPERM: somebody sealed it since are_writable(). */
            return errno == EPERM ? kIOReturnNotWritable : return_from_errno(-errno);
        }
        at += bytes;
    }
    assert(at == map->pages_bytes);
    return kIOReturnSuccess;
}

kern_return_t
IOMemoryDescriptorCreateMapping(OSObjectPtr memory, uint64_t options, uint64_t address, uint64_t offset,
                                uint64_t length, uint64_t alignment, IOMemoryMap **ret_map)
{
    (void)address;
    IOMemoryDescriptor *const d = OSDynamicCast(IOMemoryDescriptor, memory);
    if (!d || !ret_map || (options & ~MAP_OPTIONS) || !is_alignment(alignment))
        return kIOReturnBadArgument;
    if (options & kIOMemoryMapFixedAddress)
        return kIOReturnUnsupported;
    const uint64_t total = length_of(d);
    if (offset >= total || length > total - offset)
        return kIOReturnBadArgument;
    if (length == 0)
        length = total - offset;

    struct range cut[DX_MEMORY_DESCRIPTOR_RANGES_MAX] = {0};
    const uint32_t count = cut_ranges(d, offset, length, cut);
    const uint64_t in_page = cut[0].offset % dx_page_bytes();
    if (!meet_at_pages(cut, count) || (alignment && in_page % alignment))
        return kIOReturnNotAligned;
    const bool read_only = options & kIOMemoryMapReadOnly;
    if (!read_only && !are_writable(cut, count))
        return kIOReturnNotWritable;

    IOMemoryMap *const map = dx_object_alloc(&dx_memory_map_class);
    if (!map)
        return kIOReturnNoMemory;
    map->offset = in_page;
    map->length = length;
    const int protection = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    const kern_return_t r = map_ranges(map, cut, count, protection, (size_t)alignment);
    if (r != kIOReturnSuccess) {
        OSObjectRelease(map);
        return r;
    }
    *ret_map = map;
    return kIOReturnSuccess;
}

uint64_t
IOMemoryMapGetAddress(const IOMemoryMap *map)
{
    return map ? (uint64_t)(uintptr_t)map->pages : 0;
}

uint64_t
IOMemoryMapGetLength(const IOMemoryMap *map)
{
    return map ? map->length : 0;
}

uint64_t
IOMemoryMapGetOffset(const IOMemoryMap *map)
{
    return map ? map->offset : 0;
}

kern_return_t
IOMemoryDescriptorGetLength(OSObjectPtr memory, uint64_t *ret_length)
{
    if (!OSObjectIsKindOf(memory, &dx_memory_descriptor_class) || !ret_length)
        return kIOReturnBadArgument;
    IOMemoryDescriptor *const d = memory;
    /* relaxed: a length orders nothing. */
    *ret_length = atomic_load_explicit(&d->length, memory_order_relaxed);
    return kIOReturnSuccess;
}

/* Wraps a descriptor of its own; taken also on failure. */
static struct memory_file *
new_file(int fd)
{
    struct memory_file *const file = dx_object_alloc(&memory_file_class);
    if (!file) {
        close(fd);
        return NULL;
    }
    file->fd = fd;
    return file;
}

/* Gives a buffer its memory and its map. */
static kern_return_t
fill_buffer(IOBufferMemoryDescriptor *buffer, uint64_t capacity, uint64_t alignment)
{
    const int fd = dx_pages_open("dextral-memory", (size_t)capacity);
    if (fd < 0)
        return return_from_errno(fd);
    struct memory_file *const file = new_file(fd);
    if (!file)
        return kIOReturnNoMemory;
    add_range(&buffer->descriptor, file, 0, capacity);
    OSObjectRelease(file);
    return IOMemoryDescriptorCreateMapping(buffer, 0, 0, 0, 0, alignment, &buffer->map);
}

kern_return_t
IOBufferMemoryDescriptorCreate(uint64_t options, uint64_t capacity, uint64_t alignment,
                               IOBufferMemoryDescriptor **ret_memory)
{
    if (!ret_memory || (options & ~DIRECTION_MASK) || capacity == 0 || !is_alignment(alignment))
        return kIOReturnBadArgument;
    if (capacity > DX_MEMORY_DESCRIPTOR_BYTES_MAX)
        return kIOReturnNoMemory;

    IOBufferMemoryDescriptor *const buffer =
        (IOBufferMemoryDescriptor *)new_descriptor(&dx_buffer_memory_descriptor_class, options, 1);
    if (!buffer)
        return kIOReturnNoMemory;
    const kern_return_t r = fill_buffer(buffer, capacity, alignment);
    if (r != kIOReturnSuccess) {
        OSObjectRelease(buffer);
        return r;
    }
    *ret_memory = buffer;
    return kIOReturnSuccess;
}

kern_return_t
IOBufferMemoryDescriptorGetAddressRange(IOBufferMemoryDescriptor *memory, IOAddressSegment *ret_range)
{
    if (!OSObjectIsKindOf(memory, &dx_buffer_memory_descriptor_class) || !ret_range)
        return kIOReturnBadArgument;
    *ret_range = (IOAddressSegment){
        .address = (uint64_t)(uintptr_t)memory->map->pages,
        /* relaxed: a length orders nothing. */
        .length = atomic_load_explicit(&memory->descriptor.length, memory_order_relaxed),
    };
    return kIOReturnSuccess;
}

kern_return_t
IOBufferMemoryDescriptorSetLength(IOBufferMemoryDescriptor *memory, uint64_t length)
{
    if (!OSObjectIsKindOf(memory, &dx_buffer_memory_descriptor_class) ||
        length > memory->descriptor.ranges[0].length)
        return kIOReturnBadArgument;
    /* relaxed: a length orders nothing. */
    atomic_store_explicit(&memory->descriptor.length, length, memory_order_relaxed);
    return kIOReturnSuccess;
}

/* Adds what ranges say to a descriptor that has room for them. */
static void
add_ranges(IOMemoryDescriptor *d, const struct range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        add_range(d, ranges[i].file, ranges[i].offset, ranges[i].length);
}

kern_return_t
IOMemoryDescriptorCreateSubMemoryDescriptor(uint64_t direction, uint64_t offset, uint64_t length,
                                            OSObjectPtr parent, IOMemoryDescriptor **ret_memory)
{
    IOMemoryDescriptor *const from = OSDynamicCast(IOMemoryDescriptor, parent);
    if (!from || !ret_memory || (direction & ~(DIRECTION_MASK | kIOMemoryDisableCopyOnWrite)))
        return kIOReturnBadArgument;
    const uint64_t total = length_of(from);
    if (length == 0 || offset >= total || length > total - offset)
        return kIOReturnBadArgument;

    struct range cut[DX_MEMORY_DESCRIPTOR_RANGES_MAX];
    const uint32_t count = cut_ranges(from, offset, length, cut);
    IOMemoryDescriptor *const d = new_descriptor(&dx_memory_descriptor_class, direction, count);
    if (!d)
        return kIOReturnNoMemory;
    add_ranges(d, cut, count);
    *ret_memory = d;
    return kIOReturnSuccess;
}

kern_return_t
IOMemoryDescriptorCreateWithMemoryDescriptors(uint64_t direction, uint32_t count,
                                              IOMemoryDescriptor *const descriptors[32],
                                              IOMemoryDescriptor **ret_memory)
{
    if (!ret_memory || !descriptors || count == 0 || count > PARTS_MAX ||
        (direction & ~(DIRECTION_MASK | kIOMemoryDisableCopyOnWrite)))
        return kIOReturnBadArgument;

    struct range all[DX_MEMORY_DESCRIPTOR_RANGES_MAX];
    uint32_t ranges = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        IOMemoryDescriptor *const part = OSDynamicCast(IOMemoryDescriptor, descriptors[i]);
        if (!part)
            return kIOReturnBadArgument;
        if (part->range_count > DX_MEMORY_DESCRIPTOR_RANGES_MAX - ranges)
            return kIOReturnNoResources;
        /* Its length once: another thread may set it meanwhile. */
        const uint64_t length = length_of(part);
        total += length;
        ranges += cut_ranges(part, 0, length, all + ranges);
    }
    if (total == 0)
        return kIOReturnBadArgument;
    if (total > DX_MEMORY_DESCRIPTOR_BYTES_MAX)
        return kIOReturnNoMemory;

    IOMemoryDescriptor *const d = new_descriptor(&dx_memory_descriptor_class, direction, ranges);
    if (!d)
        return kIOReturnNoMemory;
    add_ranges(d, all, ranges);
    *ret_memory = d;
    return kIOReturnSuccess;
}

kern_return_t
dx_memory_descriptor_create_from_fd(int fd, uint64_t offset, uint64_t length, uint64_t direction,
                                    IOMemoryDescriptor **ret_memory)
{
    if (!ret_memory || length == 0 || (direction & ~DIRECTION_MASK))
        return kIOReturnBadArgument;
    uint64_t file_bytes = 0;
    const int checked = dx_pages_check(fd, &file_bytes);
    if (checked < 0)
        return return_from_errno(checked);
    if (offset >= file_bytes || length > file_bytes - offset)
        return kIOReturnBadArgument;
    if (length > DX_MEMORY_DESCRIPTOR_BYTES_MAX)
        return kIOReturnNoMemory;

    IOMemoryDescriptor *const d = new_descriptor(&dx_memory_descriptor_class, direction, 1);
    if (!d)
        return kIOReturnNoMemory;
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    struct memory_file *const file = own >= 0 ? new_file(own) : NULL;
    if (!file) {
        OSObjectRelease(d);
        return own >= 0 ? kIOReturnNoMemory : kIOReturnNoResources;
    }
    add_range(d, file, offset, length);
    OSObjectRelease(file);
    *ret_memory = d;
    return kIOReturnSuccess;
}

kern_return_t
dx_memory_descriptor_get_fd(OSObjectPtr memory, int *ret_fd, uint64_t *ret_offset)
{
    const IOMemoryDescriptor *const d = OSDynamicCast(IOMemoryDescriptor, memory);
    if (!d || !ret_fd)
        return kIOReturnBadArgument;
    if (d->range_count != 1)
        return kIOReturnUnsupported;
    *ret_fd = d->ranges[0].file->fd;
    if (ret_offset)
        *ret_offset = d->ranges[0].offset;
    return kIOReturnSuccess;
}
