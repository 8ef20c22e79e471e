// SPDX-License-Identifier: MIT
// Memory that can be mapped more than once and handed to another process.

#ifndef DEXTRAL_IOMEMORYDESCRIPTOR_H
#define DEXTRAL_IOMEMORYDESCRIPTOR_H

#include <dextral/OSObject.h>

DX_BEGIN_DECLS

/** A range of memory, or several put end to end; by itself not mapped anywhere. */
typedef struct IOMemoryDescriptor IOMemoryDescriptor;
/** A descriptor that brought its memory along; mapped for as long as it lives. */
typedef struct IOBufferMemoryDescriptor IOBufferMemoryDescriptor;
/** A descriptor's range at an address of this process. */
typedef struct IOMemoryMap IOMemoryMap;

DX_API extern const OSMetaClass *const gIOMemoryDescriptorMetaClass;
DX_API extern const OSMetaClass *const gIOBufferMemoryDescriptorMetaClass;
DX_API extern const OSMetaClass *const gIOMemoryMapMetaClass;

/** Most bytes of one descriptor. */
#define DX_MEMORY_DESCRIPTOR_BYTES_MAX ((uint64_t)1 << 30)

/** Most ranges that a descriptor can be put together from, those within its parts included. */
#define DX_MEMORY_DESCRIPTOR_RANGES_MAX 256u

/** Which way data goes, seen from the device. */
enum {
    kIOMemoryDirectionNone = 0,                        ///< nothing is said
    kIOMemoryDirectionIn = 1,                          ///< from the device into memory
    kIOMemoryDirectionOut = 2,                         ///< from memory to the device
    kIOMemoryDirectionInOut = 3,                       ///< both
    kIOMemoryDirectionOutIn = kIOMemoryDirectionInOut, ///< both
    kIOMemoryDisableCopyOnWrite = 0x10,                ///< accepted where descriptors are made of others
};

/** Options of IOMemoryDescriptorCreateMapping(). */
enum {
    kIOMemoryMapFixedAddress = 0x1,            ///< refused: kIOReturnUnsupported
    kIOMemoryMapReadOnly = 0x2,                ///< stores fault
    kIOMemoryMapCacheModeDefault = 0,          ///< the only cache mode there is
    kIOMemoryMapCacheModeInhibit = 0x100,      ///< accepted; cached all the same
    kIOMemoryMapCacheModeCopyback = 0x200,     ///< accepted
    kIOMemoryMapCacheModeWriteThrough = 0x400, ///< accepted; cached all the same
    kIOMemoryMapCacheModeRealTime = 0x800,     ///< accepted; cached all the same
};

/** Where memory is. */
typedef struct IOAddressSegment {
    uint64_t address; ///< in this process
    uint64_t length;  ///< bytes
} IOAddressSegment;

/**
 * Makes zeroed memory with a descriptor, and maps it.
 *
 * @param options     a kIOMemoryDirection.
 * @param capacity    bytes, 1 ... DX_MEMORY_DESCRIPTOR_BYTES_MAX; the length at first.
 * @param alignment   of the address in this process: 0 or a power of two up to 1 GiB.  It is never less than a page.
 * @param ret_memory  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (other options, no capacity, another alignment);
 *         kIOReturnNoMemory (also: over the most bytes); kIOReturnNoResources (no file descriptor left).
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IOBufferMemoryDescriptor::Create.
 */
DX_API kern_return_t IOBufferMemoryDescriptorCreate(uint64_t options, uint64_t capacity, uint64_t alignment,
                                                    IOBufferMemoryDescriptor **ret_memory);

/**
 * Tells where the memory is in this process.
 *
 * @param ret_range  its address, and the length set last; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: any.  Real-time: yes.
 * Source: IOBufferMemoryDescriptor::GetAddressRange.
 */
DX_API kern_return_t IOBufferMemoryDescriptorGetAddressRange(IOBufferMemoryDescriptor *memory,
                                                             IOAddressSegment *ret_range) DX_REALTIME;

/**
 * Sets how much of the memory counts; maps and descriptors made before keep theirs.
 *
 * @param length  bytes, up to the capacity.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: any.  Real-time: yes.
 * Source: IOBufferMemoryDescriptor::SetLength.
 */
DX_API kern_return_t IOBufferMemoryDescriptorSetLength(IOBufferMemoryDescriptor *memory,
                                                       uint64_t length) DX_REALTIME;

/**
 * Tells how many bytes a descriptor describes.
 *
 * @param memory      an IOMemoryDescriptor or one of a class below it.
 * @param ret_length  written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: any.  Real-time: yes.
 * Source: IOMemoryDescriptor::GetLength.
 */
DX_API kern_return_t IOMemoryDescriptorGetLength(OSObjectPtr memory, uint64_t *ret_length) DX_REALTIME;

/**
 * Maps a descriptor, or a part of it, into this process.  All mappings of the same bytes show the same pages.
 *
 * @param memory     an IOMemoryDescriptor or one of a class below it; the map lives on without it.
 * @param options    kIOMemoryMap options.
 * @param address    not used: the system chooses.
 * @param offset     first byte to map.
 * @param length     bytes; 0: all from the offset on.
 * @param alignment  of the first byte's address: 0 or a power of two up to 1 GiB.
 * @param ret_map    +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (unknown options, a range that is not all inside);
 *         kIOReturnUnsupported (fixed address); kIOReturnNotAligned (the ranges it is put together from do not meet
 *         at page edges, or the offset lies off the alignment); kIOReturnNotWritable (the memory came read-only
 *         and a writable map was asked for); kIOReturnNoMemory; kIOReturnVMError.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IOMemoryDescriptor::CreateMapping.
 */
DX_API kern_return_t IOMemoryDescriptorCreateMapping(OSObjectPtr memory, uint64_t options, uint64_t address,
                                                     uint64_t offset, uint64_t length, uint64_t alignment,
                                                     IOMemoryMap **ret_map);

/**
 * Makes a descriptor of a part of another.
 *
 * @param direction   a kIOMemoryDirection, with or without kIOMemoryDisableCopyOnWrite.
 * @param offset      first byte of the part.
 * @param length      bytes, at least 1.
 * @param parent      an IOMemoryDescriptor or one of a class below it; its memory is kept, it is not.
 * @param ret_memory  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (also: a range that is not all inside); kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IOMemoryDescriptor::CreateSubMemoryDescriptor.
 */
DX_API kern_return_t IOMemoryDescriptorCreateSubMemoryDescriptor(uint64_t direction, uint64_t offset,
                                                                 uint64_t length, OSObjectPtr parent,
                                                                 IOMemoryDescriptor **ret_memory);

/**
 * Makes a descriptor of others, put end to end.
 *
 * It can be mapped across an edge only where the edge is one of pages: each part but the first begins on a
 * page of its memory, and each but the last ends on one.  Parts of it that cross no edge can always be.
 *
 * @param direction    as above.
 * @param count        1 ... 32.
 * @param descriptors  IOMemoryDescriptors or of classes below it; their memory is kept, they are not.
 * @param ret_memory   +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (also: no bytes at all); kIOReturnNoResources (over
 *         DX_MEMORY_DESCRIPTOR_RANGES_MAX); kIOReturnNoMemory (also: over the most bytes).
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IOMemoryDescriptor::CreateWithMemoryDescriptors.
 */
DX_API kern_return_t IOMemoryDescriptorCreateWithMemoryDescriptors(uint64_t direction, uint32_t count,
                                                                   IOMemoryDescriptor *const descriptors[32],
                                                                   IOMemoryDescriptor **ret_memory);

/** Address of the page that the range begins in; the range is at address + offset.  Thread: any.  Real-time: yes.
 *  Source: IOMemoryMap::GetAddress. */
DX_API uint64_t IOMemoryMapGetAddress(const IOMemoryMap *map) DX_REALTIME;

/** Bytes of the range.  Thread: any.  Real-time: yes.  Source: IOMemoryMap::GetLength. */
DX_API uint64_t IOMemoryMapGetLength(const IOMemoryMap *map) DX_REALTIME;

/** Bytes from the address to the range's first; 0 when that is on a page's edge.  Thread: any.  Real-time: yes.
 *  Source: IOMemoryMap::GetOffset. */
DX_API uint64_t IOMemoryMapGetOffset(const IOMemoryMap *map) DX_REALTIME;

/**
 * Makes a descriptor of memory that another process handed over.
 *
 * @param fd          borrowed; a memfd (not of huge pages) that carries F_SEAL_SHRINK, so that nobody can take
 *                    the pages away again.
 * @param offset      first byte in the file.
 * @param length      bytes, at least 1.
 * @param direction   a kIOMemoryDirection.
 * @param ret_memory  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no such file, or the range is not all inside it);
 *         kIOReturnNotPermitted (not sealed); kIOReturnNoMemory (also: over the most bytes);
 *         kIOReturnNoResources (no file descriptor left).
 *
 * Thread: any but an IO thread.  Real-time: no.
 */
DX_API kern_return_t dx_memory_descriptor_create_from_fd(int fd, uint64_t offset, uint64_t length,
                                                         uint64_t direction, IOMemoryDescriptor **ret_memory);

/**
 * The file behind a descriptor, for handing it to another process.
 *
 * Who gets the file reaches all of it, also when the descriptor is a part only.
 *
 * @param memory      an IOMemoryDescriptor or one of a class below it.
 * @param ret_fd      borrowed, open as long as the descriptor lives; written on success only.
 * @param ret_offset  of the descriptor's first byte in the file; written on success only; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnUnsupported (put together from several ranges).
 *
 * Thread: any.  Real-time: no.
 */
DX_API kern_return_t dx_memory_descriptor_get_fd(OSObjectPtr memory, int *ret_fd, uint64_t *ret_offset);

DX_END_DECLS

#endif /* DEXTRAL_IOMEMORYDESCRIPTOR_H */
