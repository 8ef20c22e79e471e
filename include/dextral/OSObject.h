// SPDX-License-Identifier: MIT
// Reference-counted objects and the collections that carry values between driver and host.

#ifndef DEXTRAL_OSOBJECT_H
#define DEXTRAL_OSOBJECT_H

#include <dextral/base.h>

DX_BEGIN_DECLS

/**
 * Any object.  Parameters of this type take every class without a cast; what class it is, is checked at
 * run time, and a wrong one is kIOReturnBadArgument.
 */
typedef void *OSObjectPtr;

typedef struct OSObject OSObject;
typedef struct OSMetaClass OSMetaClass;
typedef struct OSString OSString;
typedef struct OSNumber OSNumber;
typedef struct OSData OSData;
typedef struct OSBoolean OSBoolean;
typedef struct OSArray OSArray;
typedef struct OSDictionary OSDictionary;
typedef struct IODispatchQueue IODispatchQueue;

typedef char IODispatchQueueName[256];

/**
 * Takes a reference.
 *
 * @param object  NULL is fine.
 * @return the object.
 *
 * Thread: any.  Real-time: lock-free, but the matching release is not: do neither on the IO thread.
 * Source: OSObject::retain.
 */
DX_API OSObjectPtr OSObjectRetain(OSObjectPtr object);

/**
 * Gives a reference back; the last one runs the object's `free`, then releases its peer.
 *
 * @param object  NULL is fine.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSObject::release.
 */
DX_API void OSObjectRelease(OSObjectPtr object);

/** References held now: for tests and debugging.  Thread: any.  Real-time: yes. */
DX_API uint32_t OSObjectGetRetainCount(OSObjectPtr object) DX_REALTIME;

/** Releases what a variable holds and makes it NULL.  Source: OSSafeReleaseNULL. */
#define OSSafeReleaseNULL(variable)  \
    do {                             \
        OSObjectRelease((variable)); \
        (variable) = NULL;           \
    } while (0)

/**
 * Whether two objects are equal: same value for strings, numbers, data and collections, same object
 * otherwise.
 *
 * Thread: any.  Real-time: no.  Source: OSObject::isEqualTo.
 */
DX_API bool OSObjectIsEqualTo(OSObjectPtr object, OSObjectPtr other);

/** The class an object was made as.  Thread: any.  Real-time: yes. */
DX_API const OSMetaClass *OSObjectGetMetaClass(OSObjectPtr object) DX_REALTIME;

/** A class's name: "IOUserAudioDevice".  Thread: any.  Real-time: yes. */
DX_API const char *OSMetaClassGetName(const OSMetaClass *meta) DX_REALTIME;

/** Whether an object is of a class or of one below it; false for NULL.  Thread: any.  Real-time: yes. */
DX_API bool OSObjectIsKindOf(OSObjectPtr object, const OSMetaClass *meta) DX_REALTIME;

/**
 * The object as a pointer to a class, or NULL when it is not of that class: OSDynamicCast(OSString, o).
 *
 * Source: OSDynamicCast.
 */
#define OSDynamicCast(class_name, object) \
    ((class_name *)(OSObjectIsKindOf((object), g##class_name##MetaClass) ? (object) : NULL))

DX_API extern const OSMetaClass *const gOSObjectMetaClass;
DX_API extern const OSMetaClass *const gOSStringMetaClass;
DX_API extern const OSMetaClass *const gOSNumberMetaClass;
DX_API extern const OSMetaClass *const gOSDataMetaClass;
DX_API extern const OSMetaClass *const gOSBooleanMetaClass;
DX_API extern const OSMetaClass *const gOSArrayMetaClass;
DX_API extern const OSMetaClass *const gOSDictionaryMetaClass;

/**
 * Gives an object a peer: the C++ (or other) object that stands for it.
 *
 * @param object   borrowed.
 * @param peer     any pointer; released with `release` when another is set or the object goes.
 * @param release  called once with the peer; may be NULL.
 *
 * Thread: any but an IO thread, one at a time.  Real-time: no.
 */
DX_API void OSObjectSetPeer(OSObjectPtr object, void *peer, void (*release)(void *peer));

/** The peer, or NULL.  Thread: any.  Real-time: yes. */
DX_API void *OSObjectGetPeer(OSObjectPtr object) DX_REALTIME;

/**
 * Binds a queue to a name of an object: actions and external methods that name it run there.
 *
 * @param name   up to 255 bytes; "Default" is the one used where none is named.
 * @param queue  retained; NULL removes the binding.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.  Source: OSObject::SetDispatchQueue.
 */
DX_API kern_return_t OSObjectSetDispatchQueue(OSObjectPtr object, const char *name, IODispatchQueue *queue);

/**
 * The queue bound to a name.
 *
 * @param ret_queue  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnNotFound.
 *
 * Thread: any but an IO thread.  Real-time: no.  Source: OSObject::CopyDispatchQueue.
 */
DX_API kern_return_t OSObjectCopyDispatchQueue(OSObjectPtr object, const char *name,
                                               IODispatchQueue **ret_queue);

/* Strings: immutable UTF-8. */

/** Copies a C string.  @return +1, or NULL without memory or for NULL.  Source: OSString::withCString. */
DX_API OSString *OSStringCreate(const char *c_string);
/** Copies `length` bytes.  @return +1 or NULL, also for a NUL among them.  Source: OSString::withCString. */
DX_API OSString *OSStringCreateWithLength(const char *bytes, size_t length);
/** The bytes, NUL-terminated, alive as long as the string.  Source: OSString::getCStringNoCopy. */
DX_API const char *OSStringGetCStringNoCopy(const OSString *string);
/** Bytes without the NUL.  Source: OSString::getLength. */
DX_API size_t OSStringGetLength(const OSString *string);
/** Whether it equals a C string.  Source: OSString::isEqualTo. */
DX_API bool OSStringIsEqualToCString(const OSString *string, const char *c_string);

/* Numbers: unsigned, 1 to 64 bits, truncated to their width. */

/** @return +1 or NULL; NULL for bits outside 1 ... 64.  Source: OSNumber::withNumber. */
DX_API OSNumber *OSNumberCreate(uint64_t value, size_t bits);
/** The same.  Source: OSNumberCreateWithUInt64Value. */
DX_API OSNumber *OSNumberCreateWithUInt64Value(uint64_t value);
/** The value, zero-extended.  Source: OSNumber::unsigned64BitValue. */
DX_API uint64_t OSNumberGetUInt64Value(const OSNumber *number);
/** Low 32 bits.  Source: OSNumber::unsigned32BitValue. */
DX_API uint32_t OSNumberGetUInt32Value(const OSNumber *number);
/** Low 16 bits.  Source: OSNumber::unsigned16BitValue. */
DX_API uint16_t OSNumberGetUInt16Value(const OSNumber *number);
/** Low 8 bits.  Source: OSNumber::unsigned8BitValue. */
DX_API uint8_t OSNumberGetUInt8Value(const OSNumber *number);
/** Width in bits.  Source: OSNumber::numberOfBits. */
DX_API size_t OSNumberGetNumberOfBits(const OSNumber *number);

/* Data: bytes that may grow. */

/** Copies bytes.  @return +1 or NULL; `bytes` may be NULL when `length` is 0.  Source: OSData::withBytes. */
DX_API OSData *OSDataCreate(const void *bytes, size_t length);
/** Empty, with room.  @return +1 or NULL.  Source: OSData::withCapacity. */
DX_API OSData *OSDataCreateWithCapacity(size_t capacity);
/** The bytes, valid until the next append; NULL when empty.  Source: OSData::getBytesNoCopy. */
DX_API const void *OSDataGetBytesNoCopy(const OSData *data);
/** A part of the bytes; NULL when it is not all there.  Source: OSData::getBytesNoCopy. */
DX_API const void *OSDataGetBytesNoCopyAt(const OSData *data, size_t offset, size_t length);
/** Bytes held.  Source: OSData::getLength. */
DX_API size_t OSDataGetLength(const OSData *data);
/** Bytes that fit without growing.  Source: OSData::getCapacity. */
DX_API size_t OSDataGetCapacity(const OSData *data);
/** Appends a copy; false without memory, nothing changed then.  Source: OSData::appendBytes. */
DX_API bool OSDataAppendBytes(OSData *data, const void *bytes, size_t length);

/* Booleans: two objects, compared by pointer, never freed. */

DX_API extern OSBoolean *const kOSBooleanTrue;
DX_API extern OSBoolean *const kOSBooleanFalse;
/** Its value.  Source: OSBoolean::getValue. */
DX_API bool OSBooleanGetValue(const OSBoolean *boolean);

/* Arrays: hold references to their members.  Not synchronised: one user at a time. */

/** @return +1 or NULL.  Source: OSArray::withCapacity. */
DX_API OSArray *OSArrayCreate(size_t capacity);
/** @return +1 or NULL; holds the same members.  Source: OSArray::withArray. */
DX_API OSArray *OSArrayCreateWithArray(const OSArray *array);
/** Appends; false for NULL, without memory, or when a collection would come to hold itself.  Source: OSArray::setObject. */
DX_API bool OSArraySetObject(OSArray *array, OSObjectPtr object);
/** Inserts before `index` (at most the count).  Source: OSArray::setObject(index, object). */
DX_API bool OSArrayInsertObject(OSArray *array, size_t index, OSObjectPtr object);
/** Replaces a member.  Source: OSArray::replaceObject. */
DX_API bool OSArrayReplaceObject(OSArray *array, size_t index, OSObjectPtr object);
/** Removes a member; out of range does nothing.  Source: OSArray::removeObject. */
DX_API void OSArrayRemoveObject(OSArray *array, size_t index);
/** Borrowed member, or NULL out of range.  Source: OSArray::getObject. */
DX_API OSObjectPtr OSArrayGetObject(const OSArray *array, size_t index);
/** Members.  Source: OSArray::getCount. */
DX_API size_t OSArrayGetCount(const OSArray *array);
/** Calls back for each member until it returns true; true when one did.  Source: OSArray::iterateObjects. */
DX_API bool OSArrayIterateObjects(const OSArray *array, bool (*callback)(void *context, OSObjectPtr object),
                                  void *context);

/* Dictionaries: string keys in order of insertion, hold references.  Not synchronised. */

/** @return +1 or NULL.  Source: OSDictionary::withCapacity. */
DX_API OSDictionary *OSDictionaryCreate(size_t capacity);
/** @return +1 or NULL.  Source: OSDictionary::withDictionary. */
DX_API OSDictionary *OSDictionaryCreateWithDictionary(const OSDictionary *dictionary);
/** Sets or replaces; false for NULL, without memory, or when a collection would come to hold itself.  Source: OSDictionary::setObject. */
DX_API bool OSDictionarySetObject(OSDictionary *dictionary, const char *key, OSObjectPtr object);
/** Borrowed value, or NULL.  Source: OSDictionary::getObject. */
DX_API OSObjectPtr OSDictionaryGetObject(const OSDictionary *dictionary, const char *key);
/** Removes a key, if it is there.  Source: OSDictionary::removeObject. */
DX_API void OSDictionaryRemoveObject(OSDictionary *dictionary, const char *key);
/** Keys.  Source: OSDictionary::getCount. */
DX_API size_t OSDictionaryGetCount(const OSDictionary *dictionary);
/** Takes over all of another's keys; false without memory (some may be taken).  Source: OSDictionary::merge. */
DX_API bool OSDictionaryMerge(OSDictionary *dictionary, const OSDictionary *other);
/** Calls back for each key until it returns true; true when one did.  Source: OSDictionary::iterateObjects. */
DX_API bool OSDictionaryIterateObjects(const OSDictionary *dictionary,
                                       bool (*callback)(void *context, OSString *key, OSObjectPtr object),
                                       void *context);
/** Sets a number of 64 bits.  Source: OSDictionarySetUInt64Value. */
DX_API bool OSDictionarySetUInt64Value(OSDictionary *dictionary, const char *key, uint64_t value);
/** A number, or 0 where there is none.  Source: OSDictionaryGetUInt64Value. */
DX_API uint64_t OSDictionaryGetUInt64Value(const OSDictionary *dictionary, const char *key);
/** Sets a string.  Source: OSDictionarySetStringValue. */
DX_API bool OSDictionarySetStringValue(OSDictionary *dictionary, const char *key, const char *value);
/** A string's bytes, or NULL where there is none.  Source: OSDictionaryGetStringValue. */
DX_API const char *OSDictionaryGetStringValue(const OSDictionary *dictionary, const char *key);

/* Serialisation: values that cross to the host are copies. */

/**
 * Bytes of a string, number, boolean, data, array or dictionary.
 *
 * @return +1, or NULL for another class, nesting over 32 levels, over 256 MiB, or without memory.
 * Source: OSSerialization::createFromObject.
 */
DX_API OSData *OSSerializationCreateFromObject(OSObjectPtr object);

/**
 * The object that bytes stand for.
 *
 * @return +1, or NULL for bytes that are not whole and well-formed, or without memory.
 * Source: OSSerialization::createFromBytes.
 */
DX_API OSObjectPtr OSSerializationCopyObject(const void *bytes, size_t length);

DX_END_DECLS

#endif /* DEXTRAL_OSOBJECT_H */
