// SPDX-License-Identifier: MIT
// Custom properties: what they hold, and what crosses to the host and back.

#include "notifications.h"

#include "audio/custom_property.h"
#include "audio/object.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define NONE IOUserAudioCustomPropertyDataTypeNone
#define STRING IOUserAudioCustomPropertyDataTypeString
#define DICTIONARY IOUserAudioCustomPropertyDataTypeDictionary

static const IOUserAudioObjectPropertyAddress address = {
    .mSelector = DX_FOURCC('t', 'e', 's', 't'),
    .mScope = IOUserAudioObjectPropertyScopeGlobal,
    .mElement = IOUserAudioObjectPropertyElementMain,
};

static IOUserAudioDriver *driver;

static void
set_up(void)
{
    driver = notifications_driver_create();
    cr_assert(ne(ptr, driver, NULL));
}

static void
tear_down(void)
{
    notifications_driver_destroy(driver);
}

TestSuite(custom_property, .init = set_up, .fini = tear_down);

static IOUserAudioCustomProperty *
property_of(IOUserAudioCustomPropertyDataType qualifier_type, IOUserAudioCustomPropertyDataType data_type)
{
    IOUserAudioCustomProperty *const property =
        IOUserAudioCustomPropertyCreate(driver, address, true, qualifier_type, data_type);
    cr_assert(ne(ptr, property, NULL));
    notifications_adopt(property);
    return property;
}

static OSDictionary *
dictionary_of(const char *key, const char *value)
{
    OSDictionary *const dictionary = OSDictionaryCreate(1);
    cr_assert(OSDictionarySetStringValue(dictionary, key, value));
    return dictionary;
}

Test(custom_property, the_qualifier_type_comes_before_the_data_type)
{
    IOUserAudioCustomProperty *const property = property_of(STRING, DICTIONARY);
    const IOUserAudioCustomPropertyInfo info = IOUserAudioCustomPropertyGetCustomPropertyInfo(property);
    cr_expect(eq(u32, info.mSelector, address.mSelector));
    cr_expect(eq(u32, info.mQualifierDataType, STRING));
    cr_expect(eq(u32, info.mPropertyDataType, DICTIONARY));
    cr_expect(eq(u32, dx_custom_property_address(property).mScope, address.mScope));
    cr_expect(dx_custom_property_is_settable(property));
    OSObjectRelease(property);
}

Test(custom_property, create_refuses_unknown_types_and_scopes)
{
    IOUserAudioObjectPropertyAddress other = address;
    cr_expect(eq(ptr, IOUserAudioCustomPropertyCreate(driver, address, true, 7, STRING), NULL));
    cr_expect(eq(ptr, IOUserAudioCustomPropertyCreate(driver, address, true, NONE, 7), NULL));
    cr_expect(eq(ptr, IOUserAudioCustomPropertyCreate(NULL, address, true, NONE, STRING), NULL));
    other.mScope = 0;
    cr_expect(eq(ptr, IOUserAudioCustomPropertyCreate(driver, other, true, NONE, STRING), NULL));
    other = address;
    other.mSelector = 0;
    cr_expect(eq(ptr, IOUserAudioCustomPropertyCreate(driver, other, true, NONE, STRING), NULL));
}

Test(custom_property, before_init_every_call_fails)
{
    IOUserAudioCustomProperty *const property = IOUserAudioCustomPropertyAlloc();
    OSString *const string = OSStringCreate("value");
    OSObjectPtr value = NULL;
    cr_expect(eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, string),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(property, NULL, &value),
                 kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_set_value(property, NULL, string), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_copy_value(property, NULL, &value), kIOReturnBadArgument));
    cr_expect(eq(u32, IOUserAudioCustomPropertyGetCustomPropertyInfo(property).mSelector, 0));
    cr_expect(
        eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(NULL, NULL, string), kIOReturnBadArgument));
    cr_expect(eq(ptr, value, NULL));
    OSObjectRelease(string);
    OSObjectRelease(property);
}

Test(custom_property, has_no_custom_properties_of_its_own)
{
    IOUserAudioCustomProperty *const property = property_of(NONE, STRING);
    IOUserAudioCustomProperty *const other = property_of(NONE, STRING);
    cr_expect(eq(int, IOUserAudioObjectAddCustomProperty(property, other), kIOReturnError));
    cr_expect(eq(int, IOUserAudioObjectRemoveCustomProperty(property, other), kIOReturnError));
    OSObjectRelease(other);
    OSObjectRelease(property);
}

Test(custom_property, the_base_gives_the_last_value_for_any_qualifier_and_tells_nobody)
{
    IOUserAudioCustomProperty *const property = property_of(STRING, STRING);
    OSString *const left = OSStringCreate("left"), *const right = OSStringCreate("right");
    OSString *const value = OSStringCreate("value");
    OSObjectPtr read = NULL;
    cr_expect(eq(int, IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(property, left, &read),
                 kIOReturnNotFound));
    cr_expect(
        eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, left, value), kIOReturnSuccess));
    cr_expect_str_eq(notifications_take(kIOUserAudioObjectIDDriver), "");
    cr_expect(eq(int, IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(property, right, &read),
                 kIOReturnSuccess));
    cr_expect(eq(ptr, read, value));
    OSObjectRelease(read);
    cr_expect(
        eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, NULL), kIOReturnSuccess));
    cr_expect(eq(u32, OSObjectGetRetainCount(value), 1));
    cr_expect(eq(u32, OSObjectGetRetainCount(left), 1));
    OSObjectRelease(value);
    OSObjectRelease(left);
    OSObjectRelease(right);
    OSObjectRelease(property);
}

Test(custom_property, a_driver_is_held_to_the_types_it_declared)
{
    IOUserAudioCustomProperty *const property = property_of(NONE, DICTIONARY);
    OSString *const string = OSStringCreate("string");
    OSDictionary *const dictionary = dictionary_of("key", "value");
    cr_expect(eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, string),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, string, dictionary),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, dictionary),
                 kIOReturnSuccess));
    OSObjectRelease(dictionary);
    OSObjectRelease(string);
    OSObjectRelease(property);
}

Test(custom_property, the_host_reads_a_copy)
{
    IOUserAudioCustomProperty *const property = property_of(NONE, DICTIONARY);
    OSDictionary *const dictionary = dictionary_of("key", "before");
    cr_assert(eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, dictionary),
                 kIOReturnSuccess));
    OSObjectPtr copy = NULL;
    cr_assert(eq(int, dx_custom_property_copy_value(property, NULL, &copy), kIOReturnSuccess));
    cr_expect(ne(ptr, copy, dictionary));
    cr_expect(OSDictionarySetStringValue(dictionary, "key", "after"));
    cr_expect_str_eq(OSDictionaryGetStringValue(copy, "key"), "before");
    cr_expect(eq(u32, OSObjectGetRetainCount(copy), 1));
    OSObjectRelease(copy);
    OSObjectRelease(dictionary);
    OSObjectRelease(property);
}

Test(custom_property, the_host_stores_a_copy_and_the_owner_is_told)
{
    IOUserAudioCustomProperty *const property = property_of(NONE, DICTIONARY);
    OSDictionary *const dictionary = dictionary_of("key", "before");
    cr_expect(eq(int, dx_custom_property_set_value(property, NULL, dictionary), kIOReturnSuccess));
    cr_expect_str_eq(notifications_take(kIOUserAudioObjectIDDriver), "'test'");
    cr_expect(OSDictionarySetStringValue(dictionary, "key", "after"));
    OSObjectPtr read = NULL;
    cr_assert(eq(int, IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(property, NULL, &read),
                 kIOReturnSuccess));
    cr_expect_str_eq(OSDictionaryGetStringValue(read, "key"), "before");
    OSObjectRelease(read);
    OSObjectRelease(dictionary);
    OSObjectRelease(property);
}

Test(custom_property, the_host_is_held_to_the_declared_types)
{
    IOUserAudioCustomProperty *const property = property_of(STRING, STRING);
    OSString *const string = OSStringCreate("string");
    OSDictionary *const dictionary = dictionary_of("key", "value");
    OSObjectPtr read = NULL;
    cr_expect(eq(int, dx_custom_property_set_value(property, NULL, string), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_set_value(property, string, NULL), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_set_value(property, string, dictionary), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_set_value(property, string, string), kIOReturnSuccess));
    cr_expect(eq(int, dx_custom_property_copy_value(property, NULL, &read), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_copy_value(property, dictionary, &read), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_copy_value(property, string, NULL), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_copy_value(property, string, &read), kIOReturnSuccess));
    cr_expect_str_eq(OSStringGetCStringNoCopy(read), "string");
    OSObjectRelease(read);
    OSObjectRelease(dictionary);
    OSObjectRelease(string);
    OSObjectRelease(property);
}

Test(custom_property, the_host_may_not_change_what_is_not_settable)
{
    IOUserAudioCustomProperty *const property =
        IOUserAudioCustomPropertyCreate(driver, address, false, NONE, STRING);
    OSString *const string = OSStringCreate("string");
    cr_expect(not(dx_custom_property_is_settable(property)));
    cr_expect(eq(int, dx_custom_property_set_value(property, NULL, string), kIOReturnNotPermitted));
    cr_expect(
        eq(int, IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, string), kIOReturnSuccess));
    OSObjectRelease(string);
    OSObjectRelease(property);
}

Test(custom_property, one_without_a_value_can_be_rung_but_not_read)
{
    IOUserAudioCustomProperty *const property = property_of(NONE, NONE);
    OSString *const string = OSStringCreate("string");
    OSObjectPtr read = NULL;
    cr_expect(eq(int, dx_custom_property_set_value(property, NULL, string), kIOReturnBadArgument));
    cr_expect(eq(int, dx_custom_property_set_value(property, NULL, NULL), kIOReturnSuccess));
    cr_expect_str_eq(notifications_take(kIOUserAudioObjectIDDriver), "'test'");
    cr_expect(eq(int, dx_custom_property_copy_value(property, NULL, &read), kIOReturnUnsupported));
    OSObjectRelease(string);
    OSObjectRelease(property);
}

/* A property with one value for "left" and one for all others, which may not be changed. */

static unsigned frees;

static void
count_free(IOUserAudioCustomProperty *property)
{
    frees++;
    IOUserAudioCustomPropertyFree_super(property);
}

static kern_return_t
get_by_side(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr *ret_value)
{
    if (OSStringIsEqualToCString(qualifier, "number")) {
        *ret_value = OSNumberCreate(1, 32);
        return kIOReturnSuccess;
    }
    if (!OSStringIsEqualToCString(qualifier, "left"))
        return IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier_super(property, qualifier,
                                                                                  ret_value);
    *ret_value = OSStringCreate("the left one");
    return *ret_value ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t
refuse_left(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data)
{
    if (OSStringIsEqualToCString(qualifier, "left"))
        return kIOReturnNotWritable;
    return IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier_super(property, qualifier,
                                                                                           data);
}

Test(custom_property, overrides_see_the_qualifier_and_reach_the_base)
{
    static const IOUserAudioCustomPropertyOverrides overrides = {
        .size = sizeof overrides,
        .free = count_free,
        .GetCustomPropertyValueWithQualifier = get_by_side,
        .HandleChangeCustomPropertyDataValueWithQualifier = refuse_left,
    };
    IOUserAudioCustomProperty *const property = IOUserAudioCustomPropertyAlloc();
    cr_assert(eq(int, IOUserAudioCustomPropertySetOverrides(property, &overrides), kIOReturnSuccess));
    cr_assert(IOUserAudioCustomPropertyInit(property, driver, address, true, STRING, STRING));
    cr_expect(eq(int, IOUserAudioCustomPropertySetOverrides(property, &overrides), kIOReturnBusy));
    cr_expect(not(IOUserAudioCustomPropertyInit(property, driver, address, true, STRING, STRING)));
    notifications_adopt(property);

    OSString *const left = OSStringCreate("left"), *const right = OSStringCreate("right");
    OSString *const number = OSStringCreate("number");
    OSObjectPtr read = NULL;
    cr_expect(eq(int, dx_custom_property_copy_value(property, left, &read), kIOReturnSuccess));
    cr_expect_str_eq(OSStringGetCStringNoCopy(read), "the left one");
    OSSafeReleaseNULL(read);
    cr_expect(eq(int, dx_custom_property_copy_value(property, right, &read), kIOReturnNotFound));
    cr_expect(eq(int, dx_custom_property_copy_value(property, number, &read), kIOReturnInternalError),
              "no string");
    cr_expect(eq(ptr, read, NULL));
    cr_expect(eq(int, dx_custom_property_set_value(property, left, right), kIOReturnNotWritable));
    cr_expect_str_eq(notifications_take(kIOUserAudioObjectIDDriver), "");
    cr_expect(eq(int, dx_custom_property_set_value(property, right, left), kIOReturnSuccess));
    cr_expect_str_eq(notifications_take(kIOUserAudioObjectIDDriver), "'test'");
    cr_expect(eq(int, dx_custom_property_copy_value(property, right, &read), kIOReturnSuccess));
    cr_expect_str_eq(OSStringGetCStringNoCopy(read), "left");
    OSObjectRelease(read);
    OSObjectRelease(number);
    OSObjectRelease(left);
    OSObjectRelease(right);
    OSObjectRelease(property);
    cr_expect(eq(uint, frees, 1u));
}
