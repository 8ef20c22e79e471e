// SPDX-License-Identifier: MIT
// Driver classes of a test bundle: one that is right, and one for each way to be wrong.  What they make is no
// object: the bundle only hands it on.

#include <dextral/plugin.h>

static int driver;

static IOUserAudioDriver *
alloc_driver(void)
{
    return (IOUserAudioDriver *)(void *)&driver;
}

static IOUserAudioDriver *
alloc_nothing(void)
{
    return NULL;
}

#define EXPORT(symbol, ...)                                                 \
    DX_PLUGIN_EXTERN DX_API const dx_driver_class dx_driver_class_##symbol; \
    const dx_driver_class dx_driver_class_##symbol = {__VA_ARGS__}

DX_DRIVER_CLASS(GoodDriver, alloc_driver);
DX_DRIVER_CLASS(EmptyDriver, alloc_nothing);
DX_DRIVER_CLASS(NoAllocDriver, NULL);
EXPORT(OtherNameDriver, sizeof(dx_driver_class), DX_PLUGIN_ABI, "SomebodyElse", alloc_driver);
EXPORT(OldDriver, sizeof(dx_driver_class), (DX_PLUGIN_ABI_MAJOR + 1u) << 16, "OldDriver", alloc_driver);
EXPORT(NewDriver, sizeof(dx_driver_class), DX_PLUGIN_ABI + 1u, "NewDriver", alloc_driver);
EXPORT(ShortDriver, 8, DX_PLUGIN_ABI, "ShortDriver", alloc_driver);
