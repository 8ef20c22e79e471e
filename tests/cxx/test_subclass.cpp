// SPDX-License-Identifier: MIT
// C++ classes over the C core, as headers with Apple's spelling would have them: virtual methods, super, peers.

#include <dextral/dextral.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            (void)std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                     \
        }                                                                                     \
    } while (0)

namespace {

/* What happened, in order. */
std::string trace;

/*
 * A C++ object is the peer of a C object and owned by it: the C count is the only one, and the last release deletes
 * the peer.  A class's table of overrides turns each call of the C core into a virtual one; the base class's methods
 * call the C base, so that `super::` means what it says.
 */
class Device {
public:
    using super = Device;

    virtual kern_return_t
    StartIO(IOUserAudioStartStopFlags flags)
    {
        return IOUserAudioDeviceStartIO_super(object, flags);
    }

    virtual kern_return_t
    StopIO(IOUserAudioStartStopFlags flags)
    {
        return IOUserAudioDeviceStopIO_super(object, flags);
    }

    virtual kern_return_t
    PerformDeviceConfigurationChange(uint64_t action, OSObjectPtr info)
    {
        return IOUserAudioDevicePerformDeviceConfigurationChange_super(object, action, info);
    }

    virtual kern_return_t
    AbortDeviceConfigurationChange(uint64_t action, OSObjectPtr info)
    {
        return IOUserAudioDeviceAbortDeviceConfigurationChange_super(object, action, info);
    }

    virtual kern_return_t
    HandleChangeSampleRate(double rate)
    {
        return IOUserAudioDeviceHandleChangeSampleRate_super(object, rate);
    }

    virtual bool
    init(IOUserAudioDriver *driver, bool supports_prewarming, OSString *uid, OSString *model, OSString *maker,
         uint32_t period)
    {
        return IOUserAudioDeviceInit_super(object, driver, supports_prewarming, uid, model, maker, period);
    }

    virtual void
    free()
    {
        IOUserAudioDeviceFree_super(object); // deletes this
    }

    void
    retain()
    {
        OSObjectRetain(object);
    }

    void
    release()
    {
        OSObjectRelease(object);
    }

    /* OSTypeAlloc: a C object with a peer of class T. */
    template <class T>
    static T *
    alloc()
    {
        static const IOUserAudioDeviceOverrides overrides = make_overrides();
        IOUserAudioDevice *const object = IOUserAudioDeviceAlloc();
        CHECK(object);
        CHECK(IOUserAudioDeviceSetOverrides(object, &overrides) == kIOReturnSuccess);
        T *const peer = new T;
        peer->object = object;
        OSObjectSetPeer(object, static_cast<Device *>(peer), [](void *p) { delete static_cast<Device *>(p); });
        return peer;
    }

    IOUserAudioDevice *object = nullptr;

protected:
    Device() = default;
    virtual ~Device()
    {
        trace += "~Device ";
    }

private:
    static Device *
    peer(IOUserAudioDevice *object)
    {
        return static_cast<Device *>(OSObjectGetPeer(object));
    }

    static IOUserAudioDeviceOverrides
    make_overrides()
    {
        IOUserAudioDeviceOverrides o = {};
        o.size = sizeof o;
        o.init = [](IOUserAudioDevice *d, IOUserAudioDriver *driver, bool prewarming, OSString *uid,
                    OSString *model, OSString *maker,
                    uint32_t period) { return peer(d)->init(driver, prewarming, uid, model, maker, period); };
        o.free = [](IOUserAudioDevice *d) { peer(d)->free(); };
        o.StartIO = [](IOUserAudioDevice *d, IOUserAudioStartStopFlags flags) { return peer(d)->StartIO(flags); };
        o.StopIO = [](IOUserAudioDevice *d, IOUserAudioStartStopFlags flags) { return peer(d)->StopIO(flags); };
        o.PerformDeviceConfigurationChange = [](IOUserAudioDevice *d, uint64_t action, OSObjectPtr info) {
            return peer(d)->PerformDeviceConfigurationChange(action, info);
        };
        o.AbortDeviceConfigurationChange = [](IOUserAudioDevice *d, uint64_t action, OSObjectPtr info) {
            return peer(d)->AbortDeviceConfigurationChange(action, info);
        };
        o.HandleChangeSampleRate = [](IOUserAudioDevice *d, double rate) {
            return peer(d)->HandleChangeSampleRate(rate);
        };
        return o;
    }
};

class MyDevice : public Device {
public:
    kern_return_t
    StartIO(IOUserAudioStartStopFlags flags) override
    {
        trace += "MyDevice::StartIO ";
        return super::StartIO(flags);
    }

    kern_return_t
    HandleChangeSampleRate(double rate) override
    {
        trace += "MyDevice::HandleChangeSampleRate ";
        return rate < 100000 ? super::HandleChangeSampleRate(rate) : kIOReturnUnsupported;
    }

    void
    free() override
    {
        trace += "MyDevice::free ";
        super::free();
    }

    ~MyDevice() override
    {
        trace += "~MyDevice ";
    }
};

/* Two levels down: its super is MyDevice. */
class MyLoudDevice : public MyDevice {
public:
    using super = MyDevice;

    kern_return_t
    StartIO(IOUserAudioStartStopFlags flags) override
    {
        trace += "MyLoudDevice::StartIO ";
        return super::StartIO(flags);
    }

    bool
    init(IOUserAudioDriver *driver, bool supports_prewarming, OSString *uid, OSString *model, OSString *maker,
         uint32_t period) override
    {
        trace += "MyLoudDevice::init ";
        return super::init(driver, supports_prewarming, uid, model, maker, period);
    }
};

/* A driver whose C++ half makes the device in Start, as Apple's sample does. */
class MyDriver {
public:
    static IOUserAudioDriver *
    alloc()
    {
        static const IOUserAudioDriverOverrides overrides = make_overrides();
        IOUserAudioDriver *const object = IOUserAudioDriverAlloc();
        CHECK(object);
        CHECK(IOUserAudioDriverSetOverrides(object, &overrides) == kIOReturnSuccess);
        MyDriver *const peer = new MyDriver;
        peer->object = object;
        OSObjectSetPeer(object, peer, [](void *p) { delete static_cast<MyDriver *>(p); });
        return object;
    }

    static MyDriver *
    peer(IOUserAudioDriver *driver)
    {
        return static_cast<MyDriver *>(OSObjectGetPeer(driver));
    }

    MyLoudDevice *device = nullptr;

private:
    kern_return_t
    Start(IOService *provider)
    {
        const kern_return_t status = IOUserAudioDriverStart_super(object, provider);
        if (status != kIOReturnSuccess)
            return status;
        OSString *const uid = OSStringCreate("cxx");
        device = Device::alloc<MyLoudDevice>();
        CHECK(IOUserAudioDeviceInit(device->object, object, true, uid, nullptr, nullptr, 512));
        OSObjectRelease(uid);
        const double rate = 48000;
        CHECK(IOUserAudioDeviceSetAvailableSampleRates(device->object, &rate, 1) == kIOReturnSuccess);
        return IOUserAudioDriverAddObject(object, device->object);
    }

    kern_return_t
    Stop(IOService *provider)
    {
        CHECK(IOUserAudioDriverRemoveObject(object, device->object) == kIOReturnSuccess);
        device->release();
        device = nullptr;
        return IOUserAudioDriverStop_super(object, provider);
    }

    static IOUserAudioDriverOverrides
    make_overrides()
    {
        IOUserAudioDriverOverrides o = {};
        o.size = sizeof o;
        o.Start = [](IOUserAudioDriver *d, IOService *provider) { return peer(d)->Start(provider); };
        o.Stop = [](IOUserAudioDriver *d, IOService *provider) { return peer(d)->Stop(provider); };
        return o;
    }

    ~MyDriver()
    {
        trace += "~MyDriver ";
    }

    IOUserAudioDriver *object = nullptr;
};

/* Checks what happened since the last time. */
void
expect(const char *wanted)
{
    if (trace != wanted)
        (void)std::fprintf(stderr, "wanted: %s\nfound:  %s\n", wanted, trace.c_str());
    CHECK(trace == wanted);
    trace.clear();
}

} // namespace

int
main()
{
    IOUserAudioDriver *const driver = MyDriver::alloc();
    CHECK(IOUserAudioDriverInit(driver));
    CHECK(IOUserAudioDriverStart(driver, nullptr) == kIOReturnSuccess);
    expect("MyLoudDevice::init ");
    MyLoudDevice *const device = MyDriver::peer(driver)->device;

    // From the host's side down through both classes into the C base, by either spelling.
    CHECK(IOUserAudioDriverStartDevice(driver, IOUserAudioObjectGetObjectID(device->object), 0) ==
          kIOReturnSuccess);
    expect("MyLoudDevice::StartIO MyDevice::StartIO ");
    CHECK(IOUserAudioDeviceGetDeviceIsRunning(device->object));
    CHECK(IOUserAudioClockDeviceStopIO(device->object, 0) == kIOReturnSuccess);
    CHECK(!IOUserAudioDeviceGetDeviceIsRunning(device->object));

    // The C base calls back into a virtual method.
    OSObjectPtr info = dx_configuration_info_for_sample_rate(96000);
    CHECK(device->PerformDeviceConfigurationChange(IOUserAudioReservedConfigChangeActionSampleRate, info) ==
          kIOReturnSuccess);
    OSObjectRelease(info);
    expect("MyDevice::HandleChangeSampleRate ");
    CHECK(IOUserAudioDeviceGetSampleRate(device->object) == 96000);
    info = dx_configuration_info_for_sample_rate(192000);
    CHECK(IOUserAudioDevicePerformDeviceConfigurationChange(device->object, 1, info) == kIOReturnUnsupported);
    OSObjectRelease(info);
    expect("MyDevice::HandleChangeSampleRate ");

    // Retain and release from either side are one count; the last one frees both halves.
    device->retain();
    CHECK(OSObjectGetRetainCount(device->object) == 3); // the driver, its list, us
    CHECK(IOUserAudioDriverStop(driver, nullptr) == kIOReturnSuccess);
    expect("");
    OSObjectRelease(device->object);
    expect("MyDevice::free ~MyDevice ~Device ");
    OSObjectRelease(driver);
    expect("~MyDriver ");
    return 0;
}
