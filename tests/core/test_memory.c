// SPDX-License-Identifier: MIT
// Memory descriptors, maps, and shared pages.

#include "core/pages.h"

#include <dextral/IOMemoryDescriptor.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t page; // bytes

static void
learn_page(void)
{
    page = (uint64_t)sysconf(_SC_PAGESIZE);
}

TestSuite(memory, .init = learn_page);
TestSuite(pages, .init = learn_page);

static IOBufferMemoryDescriptor *
buffer_of(uint64_t bytes)
{
    IOBufferMemoryDescriptor *buffer = NULL;
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, bytes, 0, &buffer), 0));
    return buffer;
}

static uint8_t *
bytes_of_buffer(IOBufferMemoryDescriptor *buffer)
{
    IOAddressSegment range = {0};
    cr_assert(eq(int, IOBufferMemoryDescriptorGetAddressRange(buffer, &range), 0));
    return (uint8_t *)(uintptr_t)range.address;
}

static IOMemoryMap *
map_of(OSObjectPtr memory, uint64_t options, uint64_t offset, uint64_t length)
{
    IOMemoryMap *map = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(memory, options, 0, offset, length, 0, &map), 0));
    return map;
}

static uint8_t *
bytes_of_map(const IOMemoryMap *map)
{
    return (uint8_t *)(uintptr_t)(IOMemoryMapGetAddress(map) + IOMemoryMapGetOffset(map));
}

/* Whether a store at an address ends a process. */
static bool
store_faults(uint8_t *address)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        *(volatile uint8_t *)address = 1;
        _exit(0);
    }
    int status = 0;
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(memory, buffer_is_zeroed_and_as_long_as_its_capacity)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(5000);
    uint64_t length = 0;
    IOAddressSegment range = {0};
    cr_assert(eq(int, IOMemoryDescriptorGetLength(buffer, &length), 0));
    cr_assert(eq(int, IOBufferMemoryDescriptorGetAddressRange(buffer, &range), 0));
    cr_assert(eq(u64, length, 5000));
    cr_assert(eq(u64, range.length, 5000));
    cr_assert(eq(u64, range.address % page, 0));
    for (unsigned i = 0; i < 5000; i++)
        cr_assert(eq(u8, ((uint8_t *)(uintptr_t)range.address)[i], 0));
    OSObjectRelease(buffer);
}

Test(memory, buffer_refuses_what_it_cannot_be)
{
    IOBufferMemoryDescriptor *buffer = NULL;
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(4, 4096, 0, &buffer), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate((uint64_t)1 << 63, 4096, 0, &buffer), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, 0, 0, &buffer), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, 4096, 48, &buffer), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, 4096, (uint64_t)1 << 40, &buffer), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, 4096, 0, NULL), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, DX_MEMORY_DESCRIPTOR_BYTES_MAX + 1, 0, &buffer),
                 kIOReturnNoMemory));
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, UINT64_MAX, 0, &buffer), kIOReturnNoMemory));
    cr_assert(eq(ptr, buffer, NULL));
}

Test(memory, buffer_keeps_its_alignment)
{
    for (uint64_t alignment = 1; alignment <= (uint64_t)1 << 24; alignment *= 4) {
        IOBufferMemoryDescriptor *buffer = NULL;
        cr_assert(eq(int, IOBufferMemoryDescriptorCreate(3, 3 * page, alignment, &buffer), 0));
        cr_assert(eq(u64, (uintptr_t)bytes_of_buffer(buffer) % alignment, 0));
        memset(bytes_of_buffer(buffer), 1, 3 * page);
        OSObjectRelease(buffer);
    }
}

Test(memory, length_can_be_set_up_to_the_capacity)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(100);
    uint64_t length = 0;
    IOMemoryMap *map = NULL;
    cr_assert(eq(int, IOBufferMemoryDescriptorSetLength(buffer, 101), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorSetLength(buffer, 10), 0));
    cr_assert(eq(int, IOMemoryDescriptorGetLength(buffer, &length), 0));
    cr_assert(eq(u64, length, 10));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(buffer, 0, 0, 0, 11, 0, &map), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorSetLength(buffer, 0), 0));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(buffer, 0, 0, 0, 0, 0, &map), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorSetLength(buffer, 100), 0));
    map = map_of(buffer, 0, 0, 0);
    cr_assert(eq(u64, IOMemoryMapGetLength(map), 100));
    OSObjectRelease(map);
    OSObjectRelease(buffer);
}

Test(memory, two_maps_show_the_same_pages)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(3 * page);
    IOMemoryMap *const a = map_of(buffer, 0, 0, 0);
    IOMemoryMap *const b = map_of(buffer, kIOMemoryMapCacheModeWriteThrough, page, 0);
    cr_assert(eq(u64, IOMemoryMapGetLength(b), 2 * page));
    bytes_of_map(a)[page + 7] = 42;
    cr_assert(eq(u8, bytes_of_map(b)[7], 42));
    cr_assert(eq(u8, bytes_of_buffer(buffer)[page + 7], 42));
    OSObjectRelease(a);
    OSObjectRelease(buffer);
    cr_assert(eq(u8, bytes_of_map(b)[7], 42)); // lives on without the descriptor
    OSObjectRelease(b);
}

Test(memory, part_is_at_address_plus_offset)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(3 * page);
    bytes_of_buffer(buffer)[page + 100] = 7;
    IOMemoryMap *const map = map_of(buffer, 0, page + 100, page);
    cr_assert(eq(u64, IOMemoryMapGetOffset(map), 100));
    cr_assert(eq(u64, IOMemoryMapGetAddress(map) % page, 0));
    cr_assert(eq(u64, IOMemoryMapGetLength(map), page));
    cr_assert(eq(u8, bytes_of_map(map)[0], 7));
    OSObjectRelease(map);
    IOMemoryMap *none = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(buffer, 0, 0, 100, 8, 64, &none), kIOReturnNotAligned));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(buffer, 0, 0, 128, 8, 64, &none), 0));
    OSObjectRelease(none);
    OSObjectRelease(buffer);
}

Test(memory, map_refuses_what_it_cannot_do)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(page);
    IOMemoryMap *map = NULL;
    const struct {
        uint64_t options, offset, length, alignment;
        kern_return_t expected;
    } cases[] = {
        {kIOMemoryMapFixedAddress, 0, 0, 0, kIOReturnUnsupported},
        {0x80000000u, 0, 0, 0, kIOReturnBadArgument},
        {0, page, 0, 0, kIOReturnBadArgument},
        {0, 1, page, 0, kIOReturnBadArgument},
        {0, UINT64_MAX, 2, 0, kIOReturnBadArgument},
        {0, 1, UINT64_MAX, 0, kIOReturnBadArgument},
        {0, 0, 0, 3, kIOReturnBadArgument},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert(eq(int,
                     IOMemoryDescriptorCreateMapping(buffer, cases[i].options, 0, cases[i].offset,
                                                     cases[i].length, cases[i].alignment, &map),
                     cases[i].expected),
                  "case %zu", i);
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(kOSBooleanTrue, 0, 0, 0, 0, 0, &map), kIOReturnBadArgument));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(NULL, 0, 0, 0, 0, 0, &map), kIOReturnBadArgument));
    cr_assert(eq(ptr, map, NULL));
    OSObjectRelease(buffer);
}

Test(memory, read_only_map_cannot_be_written)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(page);
    IOMemoryMap *const map = map_of(buffer, kIOMemoryMapReadOnly, 0, 0);
    bytes_of_buffer(buffer)[3] = 9;
    cr_assert(eq(u8, bytes_of_map(map)[3], 9));
    cr_assert(store_faults(bytes_of_map(map)));
    cr_assert(not(store_faults(bytes_of_buffer(buffer))));
    OSObjectRelease(map);
    OSObjectRelease(buffer);
}

Test(memory, sub_descriptor_is_a_part_of_the_same_pages)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(4 * page);
    IOMemoryDescriptor *part = NULL;
    IOMemoryDescriptor *smaller = NULL;
    uint64_t length = 0;
    cr_assert(eq(int, IOMemoryDescriptorCreateSubMemoryDescriptor(3, page + 10, 2 * page, buffer, &part), 0));
    cr_assert(eq(int, IOMemoryDescriptorCreateSubMemoryDescriptor(3, 5, 20, part, &smaller), 0));
    cr_assert(eq(int, IOMemoryDescriptorGetLength(smaller, &length), 0));
    cr_assert(eq(u64, length, 20));
    bytes_of_buffer(buffer)[page + 15] = 77;
    OSObjectRelease(buffer);
    OSObjectRelease(part);
    IOMemoryMap *const map = map_of(smaller, 0, 0, 0);
    cr_assert(eq(u8, bytes_of_map(map)[0], 77));
    OSObjectRelease(map);
    OSObjectRelease(smaller);
}

Test(memory, sub_descriptor_stays_inside)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(page);
    IOMemoryDescriptor *part = NULL;
    const uint64_t ranges[][2] = {{0, 0}, {page, 1}, {1, page}, {UINT64_MAX, 1}, {1, UINT64_MAX}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        cr_assert(eq(int,
                     IOMemoryDescriptorCreateSubMemoryDescriptor(3, ranges[i][0], ranges[i][1], buffer, &part),
                     kIOReturnBadArgument));
    cr_assert(eq(int, IOMemoryDescriptorCreateSubMemoryDescriptor(0x40, 0, 1, buffer, &part),
                 kIOReturnBadArgument));
    cr_assert(eq(int, IOMemoryDescriptorCreateSubMemoryDescriptor(3, 0, 1, NULL, &part), kIOReturnBadArgument));
    OSObjectRelease(buffer);
}

Test(memory, parts_on_page_edges_map_as_one)
{
    IOBufferMemoryDescriptor *const a = buffer_of(2 * page);
    IOBufferMemoryDescriptor *const b = buffer_of(page + 8);
    IOMemoryDescriptor *tail = NULL;
    IOMemoryDescriptor *whole = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateSubMemoryDescriptor(3, page - 4, page + 4, a, &tail), 0));
    IOMemoryDescriptor *const parts[32] = {tail, (IOMemoryDescriptor *)a, (IOMemoryDescriptor *)b};
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 3, parts, &whole), 0));
    uint64_t length = 0;
    cr_assert(eq(int, IOMemoryDescriptorGetLength(whole, &length), 0));
    cr_assert(eq(u64, length, page + 4 + 2 * page + page + 8));

    IOMemoryMap *const map = map_of(whole, 0, 0, 0);
    uint8_t *const bytes = bytes_of_map(map);
    bytes_of_buffer(a)[page - 4] = 1;
    bytes_of_buffer(a)[2 * page - 1] = 2;
    bytes_of_buffer(b)[page + 7] = 3;
    cr_assert(eq(u8, bytes[0], 1));
    cr_assert(eq(u8, bytes[page + 3], 2));           // the tail's last
    cr_assert(eq(u8, bytes[page + 4 + page - 4], 1)); // the same byte within the whole of a
    cr_assert(eq(u8, bytes[length - 1], 3));

    /* A part that spans an edge, made from the whole. */
    IOMemoryDescriptor *span = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateSubMemoryDescriptor(3, page + 3, 2, whole, &span), 0));
    IOMemoryMap *const small = map_of(span, 0, 0, 0);
    cr_assert(eq(u8, bytes_of_map(small)[0], 2));
    int fd = -1;
    cr_assert(eq(int, dx_memory_descriptor_get_fd(span, &fd, NULL), kIOReturnUnsupported));
    OSObjectRelease(small);
    OSObjectRelease(span);
    OSObjectRelease(map);
    OSObjectRelease(whole);
    OSObjectRelease(tail);
    OSObjectRelease(a);
    OSObjectRelease(b);
}

Test(memory, parts_off_page_edges_map_singly_only)
{
    IOBufferMemoryDescriptor *const a = buffer_of(100);
    IOBufferMemoryDescriptor *const b = buffer_of(page);
    IOMemoryDescriptor *whole = NULL;
    IOMemoryMap *map = NULL;
    IOMemoryDescriptor *const parts[32] = {(IOMemoryDescriptor *)a, (IOMemoryDescriptor *)b};
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 2, parts, &whole), 0));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(whole, 0, 0, 0, 0, 0, &map), kIOReturnNotAligned));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(whole, 0, 0, 99, 2, 0, &map), kIOReturnNotAligned));
    bytes_of_buffer(b)[0] = 5;
    map = map_of(whole, 0, 100, 0);
    cr_assert(eq(u8, bytes_of_map(map)[0], 5));
    OSObjectRelease(map);
    OSObjectRelease(whole);
    OSObjectRelease(a);
    OSObjectRelease(b);
}

Test(memory, concatenation_has_its_limits)
{
    IOBufferMemoryDescriptor *const a = buffer_of(page);
    IOMemoryDescriptor *const one = (IOMemoryDescriptor *)a;
    IOMemoryDescriptor *parts[32];
    IOMemoryDescriptor *all = NULL;
    for (int i = 0; i < 32; i++)
        parts[i] = one;
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 0, parts, &all), kIOReturnBadArgument));
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 33, parts, &all), kIOReturnBadArgument));
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 32, parts, &all), 0));
    for (int i = 0; i < 32; i++)
        parts[i] = all;
    IOMemoryDescriptor *more = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 9, parts, &more), kIOReturnNoResources));
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 8, parts, &more), 0));
    IOMemoryMap *const map = map_of(more, 0, 0, 0); // 256 ranges
    bytes_of_map(map)[255 * page] = 6;
    cr_assert(eq(u8, bytes_of_buffer(a)[0], 6));
    parts[3] = NULL;
    IOMemoryDescriptor *none = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 8, parts, &none), kIOReturnBadArgument));
    OSObjectRelease(map);
    OSObjectRelease(more);
    OSObjectRelease(all);
    OSObjectRelease(a);
}

Test(memory, descriptor_of_too_many_bytes_is_refused)
{
    IOBufferMemoryDescriptor *const large = buffer_of(DX_MEMORY_DESCRIPTOR_BYTES_MAX);
    IOMemoryDescriptor *const parts[32] = {(IOMemoryDescriptor *)large, (IOMemoryDescriptor *)large};
    IOMemoryDescriptor *all = NULL;
    cr_assert(eq(int, IOMemoryDescriptorCreateWithMemoryDescriptors(3, 2, parts, &all), kIOReturnNoMemory));
    OSObjectRelease(large);
}

Test(memory, file_cannot_shrink_under_a_map)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(2 * page);
    int fd = -1;
    uint64_t offset = 1;
    cr_assert(eq(int, dx_memory_descriptor_get_fd(buffer, &fd, &offset), 0));
    cr_assert(eq(u64, offset, 0));
    cr_assert(ne(int, ftruncate(fd, 0), 0));
    cr_assert(ne(int, ftruncate(fd, (off_t)(8 * page)), 0));
    OSObjectRelease(buffer);
}

Test(memory, comes_from_another_process_by_its_file)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(2 * page);
    int fd = -1;
    IOMemoryDescriptor *received = NULL;
    cr_assert(eq(int, dx_memory_descriptor_get_fd(buffer, &fd, NULL), 0));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(fd, 100, page, 3, &received), 0));
    bytes_of_buffer(buffer)[100] = 8;
    OSObjectRelease(buffer); // closes its own descriptor of the file
    IOMemoryMap *const map = map_of(received, 0, 0, 0);
    cr_assert(eq(u8, bytes_of_map(map)[0], 8));
    OSObjectRelease(map);
    OSObjectRelease(received);
}

Test(memory, file_that_could_shrink_is_refused)
{
    IOMemoryDescriptor *received = NULL;
    const int fd = memfd_create("test", MFD_ALLOW_SEALING);
    cr_assert(eq(int, ftruncate(fd, (off_t)page), 0));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(fd, 0, page, 3, &received), kIOReturnNotPermitted));
    cr_assert(eq(int, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(fd, 0, page + 1, 3, &received), kIOReturnBadArgument));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(fd, page, 1, 3, &received), kIOReturnBadArgument));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(fd, UINT64_MAX, 2, 3, &received),
                 kIOReturnBadArgument));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(fd, 0, page, 3, &received), 0));
    OSObjectRelease(received);
    close(fd);
    int ends[2];
    cr_assert(eq(int, pipe(ends), 0));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(ends[0], 0, 1, 3, &received), kIOReturnBadArgument));
    cr_assert(eq(int, dx_memory_descriptor_create_from_fd(-1, 0, 1, 3, &received), kIOReturnBadArgument));
    close(ends[0]);
    close(ends[1]);
}

Test(memory, file_sealed_against_writing_maps_for_reading_only)
{
    IOBufferMemoryDescriptor *const buffer = buffer_of(page);
    int fd = -1;
    IOMemoryMap *map = NULL;
    cr_assert(eq(int, dx_memory_descriptor_get_fd(buffer, &fd, NULL), 0));
    cr_assert(eq(int, fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0));
    cr_assert(eq(int, IOMemoryDescriptorCreateMapping(buffer, 0, 0, 0, 0, 0, &map), kIOReturnNotWritable));
    map = map_of(buffer, kIOMemoryMapReadOnly, 0, 0);
    bytes_of_buffer(buffer)[0] = 4; // the map made before the seal still writes
    cr_assert(eq(u8, bytes_of_map(map)[0], 4));
    OSObjectRelease(map);
    OSObjectRelease(buffer);
}

Test(memory, wrong_classes_are_refused)
{
    uint64_t length = 0;
    int fd = -1;
    IOAddressSegment range;
    cr_assert(eq(int, IOMemoryDescriptorGetLength(kOSBooleanTrue, &length), kIOReturnBadArgument));
    cr_assert(eq(int, IOMemoryDescriptorGetLength(NULL, &length), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorGetAddressRange(NULL, &range), kIOReturnBadArgument));
    cr_assert(eq(int, IOBufferMemoryDescriptorSetLength(NULL, 0), kIOReturnBadArgument));
    cr_assert(eq(int, dx_memory_descriptor_get_fd(kOSBooleanTrue, &fd, NULL), kIOReturnBadArgument));
    cr_assert(eq(u64, IOMemoryMapGetAddress(NULL) + IOMemoryMapGetLength(NULL) + IOMemoryMapGetOffset(NULL), 0));
}

Test(pages, are_shared_and_sealed)
{
    struct dx_pages pages = {0};
    struct dx_pages view = {0};
    cr_assert(eq(int, dx_pages_create("test", 3 * page - 1, &pages), 0));
    cr_assert(eq(int, dx_pages_map_readonly(pages.fd, 2 * page, &view), 0));
    memset(pages.address, 5, pages.bytes);
    cr_assert(eq(u8, ((uint8_t *)view.address)[2 * page - 1], 5));
    cr_assert(eq(int, view.fd, -1));
    cr_assert(store_faults(view.address));
    cr_assert(ne(int, ftruncate(pages.fd, 0), 0));
    cr_assert(eq(int, fcntl(pages.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0)); // can be sealed further
    dx_pages_finish(&pages);
    cr_assert(eq(ptr, pages.address, NULL));
    dx_pages_finish(&pages);
    dx_pages_finish(&view);
    dx_pages_finish(NULL);
}

Test(pages, are_all_there)
{
    struct dx_pages pages = {0};
    uint8_t resident[16];
    cr_assert(eq(int, dx_pages_create("test", 16 * page, &pages), 0));
    cr_assert(eq(int, mincore(pages.address, pages.bytes, resident), 0));
    for (int i = 0; i < 16; i++)
        cr_assert(resident[i] & 1);
    dx_pages_finish(&pages);
}

Test(pages, touching_changes_nothing)
{
    struct dx_pages pages = {0};
    cr_assert(eq(int, dx_pages_create("test", 2 * page, &pages), 0));
    memset(pages.address, 0x5a, pages.bytes);
    (void)dx_pages_touch((uint8_t *)pages.address + 10, 2 * page - 10, true);
    for (size_t i = 0; i < pages.bytes; i++)
        cr_assert(eq(u8, ((uint8_t *)pages.address)[i], 0x5a));
    dx_pages_finish(&pages);
}

/* What lies before it in its first page is somebody else's: AddressSanitizer looks. */
Test(pages, touching_stays_within_what_is_given)
{
    const size_t sizes[] = {1, 100, 5000, 3 * dx_page_bytes() + 7};
    void *before[4], *block[4];
    for (unsigned i = 0; i < 4; i++) {
        before[i] = malloc(sizes[i]);
        block[i] = calloc(1, sizes[i]);
        cr_assert(before[i] && block[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        free(before[i]);
    for (unsigned i = 0; i < 4; i++) {
        (void)dx_pages_touch(block[i], sizes[i], true);
        (void)dx_pages_touch(block[i], sizes[i], false);
        free(block[i]);
    }
}

Test(pages, refuse_sizes_and_files_they_cannot_be)
{
    struct dx_pages pages = {0};
    cr_assert(eq(int, dx_pages_create("test", 0, &pages), -EINVAL));
    cr_assert(eq(int, dx_pages_create("test", SIZE_MAX, &pages), -EINVAL));
    cr_assert(eq(int, dx_pages_map_readonly(-1, page, &pages), -EBADF));
    const int fd = memfd_create("test", MFD_ALLOW_SEALING);
    cr_assert(eq(int, dx_pages_map_readonly(fd, page, &pages), -EPERM));
    cr_assert(eq(int, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0));
    cr_assert(eq(int, dx_pages_map_readonly(fd, page, &pages), -EINVAL)); // empty
    close(fd);
    cr_assert(eq(ptr, pages.address, NULL));
}
